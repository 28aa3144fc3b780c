/*
 * Matrix-vector product, int4 weights, sums of four rows in three accumulators. 30 instructions and
 * 32 cycles for 32 MACs, as eight rows share a load of x.
 *
 * A word holds two columns of the rows A to D: a and d signed, b' = b + 8 and c' = c + 8, and its
 * halves from the top d b' (a of the other column) c'. SMLAD of what masks leave of it, rotated for
 * the first, gives
 *   T = 4096 A + B'    U = 256 B' + C'    V = 4096 D
 * With X, the sum of x, B' = B + 8 X and C' = C + 8 X, which are taken away. Then U / 256, rounded
 * down, is B + C / 256. Its low 12 bits less those of T, which are B's, are C / 256 if |C| < 2^19,
 * and all others follow. This and |A|, |D| < 2^19, |B| < 2^22 for every input, and multipliers that
 * already hold the shift, are checked when the weights are packed.
 *
 * The stream of a group is starts T U V of rows 0 to 3 and 4 to 7; words of rows 4 to 7 and 0 to 3
 * for each two columns; multipliers.
 *
 * Registers: r0 stream, r1 x, r2-r7 accumulators, r8 mask, r9 is overwritten.
 */
    .equ GROUP, 8
    .equ UNROLLED, 16
#include "ef_matvec_dsp.inc"

    .macro CHAIN t, u, v, w, x
    and r9, r8, \w, ror #8
    smlad \t, r9, \x, \t
    and r9, \w, #0x0f0f0f0f
    smlad \u, r9, \x, \u
    and \w, \w, #0xf000f000
    smlad \v, \w, \x, \v
    .endm

/* Two columns; the loads pipeline. */
    .macro BLOCK
    ldr r10, [r1], #4
    ldr r11, [r0, #4]
    ldr r12, [r0], #8
    CHAIN r2, r3, r4, r11, r10
    CHAIN r5, r6, r7, r12, r10
    .endm

/* Four rows of T U V to saturated halfwords in \t and \v; r9 to r12 and lr are free, r1 is 2048. */
    .macro FOUR_RESULTS t, u, v
    asr r9, \u, #8       /* B + C / 256 */
    sub r10, r9, \t
    sbfx r10, r10, #0, #12
    sub r9, r9, r10
    bfi \u, r10, #8, #24 /* C */
    sub \t, \t, r9       /* 4096 A */
    ldmia.w r0!, {r10-r12, lr}
    smmla \t, \t, r10, r1 /* (4096 A m + 2048 2^32) >> 32, then >> 12: rounded as SMMULR does */
    smmulr r9, r9, r11
    smmulr \u, \u, r12
    smmla \v, \v, lr, r1
    ssat \t, #16, \t, asr #12
    ssat r9, #16, r9
    ssat \u, #16, \u
    ssat \v, #16, \v, asr #12
    pkhbt \t, \t, r9, lsl #16
    pkhbt \v, \u, \v, lsl #16
    .endm

    FUNCTION ef_matvec_chain_s4_s16_dsp
    PROLOGUE
    adds r4, #1
    lsrs r4, #1
    SUM_OF_X
    lsl r12, r12, #3 /* what stands behind an odd last column cancels out */
    add r5, r12, r12, lsl #8
    str r5, [sp, #SHIFT_BY]
    ENTER 0
    tst r4, #(UNROLLED - 1)
    bne 5f
    cmp r4, #UNROLLED
    it hi
    adrhi.w r10, 19f + 1 /* nothing is skipped the first time */
    str r10, [sp, #ENTRY]
5:  mov r8, #0x000f000f
    orr r8, r8, #0xf000f000
    mov r9, r6
    mov r10, r7
    b 80f
    .align 2
10: ldmia.w r0!, {r2-r7}
    ldr.w pc, [sp, #ENTRY]
18: ldr.w lr, [sp, #LAST]
    cmp.w lr, r1
    ldr.w pc, [sp, #FIRST]
19: ldr.w lr, [sp, #LAST]
    cmp.w lr, r1
20: BLOCK
21: .rept UNROLLED - 1
    BLOCK
    .endr
    bhi.w 19b
30: ldrd r9, r10, [sp, #CONSTANT]
    sub r2, r2, r9
    sub r3, r3, r10
    sub r5, r5, r9
    sub r6, r6, r10
    mov r1, #2048
    FOUR_RESULTS r2, r3, r4
    FOUR_RESULTS r5, r6, r7
    ldm sp, {r1, r9, r10}
    str r2, [r9], #4 /* y may be odd halfwords: no STM */
    str r4, [r9], #4
    str r5, [r9], #4
    str r7, [r9], #4
    str r9, [sp, #Y]
    FINISH 10b, r9, r10, r11, r12, r2, r3
    END ef_matvec_chain_s4_s16_dsp

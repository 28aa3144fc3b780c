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
 * The stream is two bytes for each row of the first groups, all of whose biases are 0; groups. One of
 * them is starts T U V of rows 0 to 3 and 4 to 7, but for those first ones; words of rows 4 to 7 and
 * 0 to 3 for each two columns; multipliers.
 *
 * Registers: r0 stream, r1 x, r2-r7 accumulators, r8 mask, r9 is overwritten.
 */
    .equ GROUP, 8
    .equ UNROLLED, 16
    .equ OWN, 40
#include "ef_matvec_dsp.inc"
#include "ef_matvec_chain_dsp.inc"

/* more of the frame */
    .equ ZERO, FRAME - OWN        /* starts of a group without biases, then the entry */
    .equ BEGIN, FRAME - OWN + 28  /* of a group */
    .equ BIASED, FRAME - OWN + 32 /* end of y where groups with biases follow; 0: they do not */

/* Two columns; the loads pipeline. */
    .macro BLOCK
    ldr r10, [r1], #4
    ldr r11, [r0, #4]
    ldr r12, [r0], #8
    CHAIN r2, r3, r4, r11, r10
    CHAIN r5, r6, r7, r12, r10
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
5:  ldrd r2, r3, [sp, #CONSTANT]
    rsb r2, r2, #0
    rsb r3, r3, #0
    mov r4, #0
    mov r5, r2
    mov r8, r3
    mov r9, #0
    add r11, sp, #ZERO
    stm r11, {r2-r5, r8-r10}
    adr.w r10, 12f + 1
    strd r10, r7, [sp, #BEGIN]
    mov r8, #0x000f000f
    orr r8, r8, #0xf000f000
    mov r9, r6
    ldr r10, [r0], #4
    add r10, r10, r6
    str r10, [sp, #Y_END]
    b 31f
    .align 2
10: ldr.w pc, [sp, #BEGIN]
11: ldmia.w r0!, {r2-r7}
    ldrd r9, r10, [sp, #CONSTANT]
    sub r2, r2, r9
    sub r3, r3, r10
    sub r5, r5, r9
    sub r6, r6, r10
    ldr.w pc, [sp, #ENTRY]
    .align 2
12: add r2, sp, #ZERO
    ldm.w r2, {r2-r7, pc}
18: ldr.w lr, [sp, #LAST]
    cmp.w lr, r1
    ldr.w pc, [sp, #FIRST]
    .align 2
19: ldr.w lr, [sp, #LAST]
22: cmp.w lr, r1
20: BLOCK
21: .rept UNROLLED - 1
    BLOCK
    .endr
    bhi.w 22b
30: mov r1, #2048
    FOUR_RESULTS r2, r3, r4
    FOUR_RESULTS r5, r6, r7
    ldm sp, {r1, r9, r10}
    str r2, [r9], #4 /* y may be odd halfwords: no STM */
    str r4, [r9], #4
    str r5, [r9], #4
    str r7, [r9], #4
    str r9, [sp, #Y]
31: cmp r9, r10
    blo 10b
    ldr r3, [sp, #BIASED]
    cbz r3, 32f
    mov r10, r3
    str r10, [sp, #Y_END]
    adr.w r12, 11b + 1
    mov r2, #0
    strd r12, r2, [sp, #BEGIN]
32: FINISH 10b, r9, r10, r11, r12, r2, r3
    END ef_matvec_chain_s4_s16_dsp

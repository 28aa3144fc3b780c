/*
 * Matrix-vector product, four rows of int4 weights in a halfword. 30 instructions for 32 MACs.
 *
 * A halfword holds 4096 a + 256 b' + 16 c + d' for weights a, b, c, d of the rows A to D, where
 * b' = b + 8 and d' = d + 8 lie in 1..15. SMLAD of the word, and of what is left when the highest
 * digit is cleared, three times, gives sums whose differences are 4096 A, 256 B', 16 C and D'. With
 * X, the sum of x, B' = B + 8 X. All this may wrap, but 4096 A, 256 B and 16 C fit 32 bits for every
 * input; this is checked when the weights are packed.
 *
 * Two columns are a word.
 */
#include "ef_matvec_dsp.inc"

    .macro DIGITS w, x
    smlad r2, \w, \x, r2
    bic \w, \w, #0xf000f000
    smlad r3, \w, \x, r3
    sxtb16 \w, \w
    smlad r4, \w, \x, r4
    and \w, \w, #0x000f000f
    smlad r5, \w, \x, r5
    .endm

    .macro BLOCK
    ldmia.w r1!, {r6-r9}
    ldmia.w r0!, {r10-r12, lr}
    DIGITS r10, r6
    DIGITS r11, r7
    DIGITS r12, r8
    DIGITS lr, r9
    .endm

    FUNCTION ef_matvec_s4_s16_dsp
    PROLOGUE
    str r12, [sp, #SHIFT_BY]
    adds r4, #1
    lsrs r4, #1
    SUM_OF_X
    lsl r12, r12, #3 /* what stands behind an odd last column cancels out */
    ENTER 2
    ENTER_REST
    b 80f
    .align 2
10: ldmia.w r0!, {r2-r5}
    ldr.w pc, [sp, #ENTRY]
11: ldr r6, [r1], #4
    ldr r10, [r0], #4
    DIGITS r10, r6
    ldr.w pc, [sp, #FOURS]
15: ldmia.w r1!, {r6, r7}
    ldmia.w r0!, {r10, r11}
    DIGITS r10, r6
    DIGITS r11, r7
    ldr.w pc, [sp, #BLOCKS]
    EIGHT_BLOCKS
    ldm sp, {r1, r6, r7, r12, lr}
    sub r2, r2, r3
    sub r3, r3, r4
    sub r4, r4, r5
    sub r3, r3, r12, lsl #8
    sub r5, r5, r12
    asr r2, r2, #12
    asr r3, r3, #8
    asr r4, r4, #4
    REQUANTIZE_BY lr
    STORE_GROUP
    END ef_matvec_s4_s16_dsp

/*
 * Matrix-vector product for Armv7-M without the DSP extension: int4 weights, two products in one
 * MLA. 83 instructions for 64 MACs.
 *
 * Weights are one stream. A group of eight rows A to H is
 *   4 words           start of the accumulators, 2^16 E + A, ...
 *   a word            nibbles w + 8 of A to H, for each column
 *   8 words           multipliers
 * with rows padded by zeros and columns to an even number by words of 0, so that the x behind the
 * last one does not count.
 *
 * AND leaves 2^16 e' + a' of two rows, e' = e + 8 and a' = a + 8, and MLA multiplies it with x. The
 * sum is 2^16 E + A once 8 X, the sum of x, is taken away from both. It may wrap, but E and A fit 16
 * bits for every input; this is checked when the weights are packed.
 *
 * Registers: r0 stream, r1 x, r10 its end, r2-r5 accumulators of two rows, r6 and r7 x, r8 and r9 w,
 * lr 0x000f000f.
 */
#include "ef_matvec_armv7m.inc"

    .equ OFFSET, SKIP /* 8 X, twice */

    .macro TWO acc, w, shift, x
    and r12, lr, \w, lsr #\shift
    mla \acc, r12, \x, \acc
    .endm

    .macro EIGHT w, x
    and r12, lr, \w
    mla r2, r12, \x, r2
    TWO r3, \w, 4, \x
    TWO r4, \w, 8, \x
    TWO r5, \w, 12, \x
    .endm

    .macro COLUMNS
    ldrsh r6, [r1], #2
    ldrsh r7, [r1], #2
    ldr r8, [r0], #4
    ldr r9, [r0], #4
    EIGHT r8, r6
    EIGHT r9, r7
    .endm

    .macro APART both, high
    add \high, \both, #0x8000
    asr \high, \high, #16
    sxth \both, \both
    .endm

    FUNCTION ef_matvec_pair_s4_s16_armv7m
    PROLOGUE
    str r1, [sp, #X]
    add r2, r1, r4, lsl #1 /* behind the last column */
    adds r4, #1
    lsrs r4, #1
    add r5, r1, r4, lsl #2
    str r5, [sp, #X_END]
    movs r3, #0
2:  ldrsh r5, [r1], #2
    add r3, r5
    cmp r1, r2
    bne 2b
    add r3, r3, r3, lsl #16
    lsls r3, #3
    str r3, [sp, #OFFSET]
    rsbs r4, #0
    and r4, #3
    adr r3, 3f
    mov r5, #(4f - 3f)
    mla r3, r4, r5, r3
    orr r3, #1
    str r3, [sp, #ENTRY]

8:  ldmia r0!, {r2-r5}
    ldr r6, [sp, #OFFSET]
    ldr r1, [sp, #X]
    ldr r10, [sp, #X_END]
    ldr r7, [sp, #ENTRY]
    subs r2, r6
    subs r3, r6
    subs r4, r6
    subs r5, r6
    mov lr, #0x000f000f
    bx r7
    .align 2
3:  COLUMNS
4:  COLUMNS
    COLUMNS
    COLUMNS
    cmp r1, r10
    bne.w 3b
    APART r2, r6
    APART r3, r7
    APART r4, r8
    APART r5, r9
    FINISH
    END ef_matvec_pair_s4_s16_armv7m

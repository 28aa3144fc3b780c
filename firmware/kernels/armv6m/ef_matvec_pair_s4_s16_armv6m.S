/*
 * Matrix-vector product for Armv6-M: int4 weights, two products in one MULS. 37 instructions for 16
 * MACs.
 *
 * Weights are one stream. A group of eight rows A to H is
 *   4 words           start of the accumulators, 2^16 E + A, ...
 *   a word            nibbles w + 8 of A to H, for each column
 *   8 words           multipliers
 * with rows padded by zeros and columns to an even number by words of 0, so that the x behind the
 * last one does not count.
 *
 * ANDS leaves 2^16 e' + a' of two rows, e' = e + 8 and a' = a + 8, and MULS multiplies it with x.
 * The sum is 2^16 E + A once 8 X, the sum of x, is taken away from both. It may wrap, but E and A
 * fit 16 bits for every input; this is checked when the weights are packed.
 *
 * Registers: r0 stream, r1 x, r12 its end, r2 a pair of x, r3 x, r4 the product, r5 0x000f000f, r6 w;
 * accumulators of two rows: r7 r8 r9 r10.
 */
#include "ef_matvec_armv6m.inc"

    .macro TWO acc, shift
    lsrs r4, r6, #\shift
    ands r4, r5
    muls r4, r3
    add \acc, r4
    .endm

    .macro EIGHT
    ldmia r0!, {r6}
    mov r4, r6
    ands r4, r5
    muls r4, r3
    add r7, r4
    TWO r8, 4
    TWO r9, 8
    TWO r10, 12
    .endm

    .macro COLUMNS
    ldmia r1!, {r2}
    sxth r3, r2
    EIGHT
    asrs r3, r2, #16
    EIGHT
    .endm

    /* The sum of the first row goes to \low, that of the second to \high. */
    .macro APART both, low, high
    mov r2, \both
    sxth r3, r2
    mov \low, r3
    subs r2, r3
    asrs r2, r2, #16
    mov \high, r2
    .endm

    FUNCTION ef_matvec_pair_s4_s16_armv6m
    PROLOGUE
    ldrh r4, [r0, #EF_MATRIX_COLS]
    ldr r0, [r0, #EF_MATRIX_WEIGHTS]
    adds r3, r4, #1
    lsrs r3, #1
    lsls r5, r3, #2
    adds r5, r1
    str r5, [sp, #X_END]
    adr r2, 1f
    lsrs r3, #1
    bcc 9f
    adr r2, 4f
9:  adds r2, #1
    str r2, [sp, #ENTRY]
    movs r3, #0
    subs r4, #1
    lsls r4, #1
8:  ldrsh r5, [r1, r4]
    adds r3, r5
    subs r4, #2
    bpl 8b
    lsls r3, #3
    lsls r4, r3, #16
    adds r3, r4
    str r3, [sp, #OFFSET]

3:
    ldr r5, [sp, #OFFSET]
    ldmia r0!, {r1-r4}
    subs r1, r5
    subs r2, r5
    subs r3, r5
    subs r4, r5
    mov r7, r1
    mov r8, r2
    mov r9, r3
    mov r10, r4
    ldr r1, [sp, #X]
    ldr r2, [sp, #X_END]
    mov r12, r2
    ldr r5, =0x000f000f
    ldr r2, [sp, #ENTRY]
    bx r2
    .align 2
1:  COLUMNS
    .align 2
4:  COLUMNS
    cmp r1, r12
    bne 1b

    mov r1, r7
    mov r5, r8
    mov r6, r9
    mov r4, r10
    APART r1, r8, r10
    APART r5, r9, r11
    APART r6, r6, r12
    APART r4, r7, lr
    FINISH 3b
    .pool
    END ef_matvec_pair_s4_s16_armv6m

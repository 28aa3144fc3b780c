/*
 * Matrix-vector product for Armv6-M: int8 weights, any int16 x. 51 instructions for 16 MACs.
 *
 * Weights are one stream. A group of eight rows is
 *   8 words           bias
 *   8 bytes           weights w + 128, for each column
 *   8 words           multipliers
 * with rows padded by zeros and columns to an even number by bytes of 0, so that the x behind the
 * last one does not count.
 *
 * Unsigned bytes, as LDRB takes an immediate offset and LDRSB none: the accumulators start at
 * bias - 128 X, where X is the sum of x. All sums may wrap, as the last one fits 32 bits. Two
 * products in one MULS would not be exact: each takes up to 19 bits of its 32.
 *
 * Registers: r0 stream, r1 x, r5 its end, r2-r4 a pair of x, x, w; accumulators of the rows:
 * r8 r9 r6 r7 r10 r11 r12 lr.
 */
#include "ef_matvec_armv6m.inc"

    .macro COLUMNS at
    ldmia r1!, {r2}
    sxth r3, r2
    COLUMN \at
    asrs r3, r2, #16
    COLUMN (\at + 8)
    .endm

    FUNCTION ef_matvec_s8_s16_armv6m
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
    adr r2, 2f
9:  adds r2, #1
    str r2, [sp, #ENTRY]
    movs r3, #0
    subs r4, #1
    lsls r4, #1
8:  ldrsh r5, [r1, r4]
    adds r3, r5
    subs r4, #2
    bpl 8b
    lsls r3, #7
    str r3, [sp, #OFFSET]

3:
    ldr r5, [sp, #OFFSET]
    ldmia r0!, {r1-r4, r6, r7}
    subs r1, r5
    subs r2, r5
    subs r3, r5
    subs r4, r5
    subs r6, r5
    subs r7, r5
    mov r8, r1
    mov r9, r2
    mov r10, r6
    mov r11, r7
    mov r6, r3
    mov r7, r4
    ldmia r0!, {r1, r2}
    subs r1, r5
    subs r2, r5
    mov r12, r1
    mov lr, r2
    ldr r1, [sp, #X]
    ldr r5, [sp, #X_END]
    ldr r2, [sp, #ENTRY]
    bx r2
    .align 2
2:  subs r0, #16
    b 4f
    .align 2
1:  COLUMNS 0
4:  COLUMNS 16
    adds r0, #32
    cmp r1, r5
    bne 1b

    FINISH 3b
    END ef_matvec_s8_s16_armv6m

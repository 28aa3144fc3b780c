/*
 * Matrix-vector product for Armv7-M without the DSP extension: int8 weights, any int16 x.
 * 139 instructions for 64 MACs.
 *
 * Weights are one stream. A group of eight rows is
 *   8 words           bias
 *   8 bytes           weights, for each column
 *   8 words           multipliers
 * with rows padded by zeros and columns to an even number.
 *
 * Four pairs of columns are unrolled and entered so that the rest of the pairs comes first; the
 * rows of a group are stored from the last to the first, and a group of fewer enters later.
 *
 * SMLAL of two weights in a word, a 2^24 + b, is exact where 24 bits hold the sums of b, and would
 * need 1.4 instructions per MAC; but it takes 4 to 7 cycles, and MLA 2. Loads come in pairs, as the
 * second one is pipelined.
 *
 * Registers: r0 stream, r1 x, lr its end, r2-r9 accumulators of the rows, r10 x, r11 and r12 w.
 */
#include "ef_asm.h"

/* the frame */
    .equ X, 0
    .equ ENTRY, 4
    .equ Y, 8
    .equ ROWS_LEFT, 12
    .equ SHIFT_BY, 16
    .equ X_END, 20
    .equ SKIP, 24 /* bytes that the entry skips in the stream */
    .equ FRAME, 28

    .macro TWO at, a, b
    ldrsb r11, [r0, #\at]
    ldrsb r12, [r0, #(\at + 1)]
    mla \a, r11, r10, \a
    mla \b, r12, r10, \b
    .endm

    .macro COLUMN at
    ldrsh r10, [r1], #2
    TWO \at, r2, r3
    TWO (\at + 2), r4, r5
    TWO (\at + 4), r6, r7
    TWO (\at + 6), r8, r9
    .endm

    /* v m + 2^31 carries into the upper word where the lower one of v m has bit 31 */
    .macro REQUANTIZE acc, number
    ldr.w r12, [r0, #(4 * \number)]
    lsl.w \acc, \acc, r10
    smull r12, \acc, \acc, r12
    adds.w r12, r12, r12
    adc.w \acc, \acc, #0
    ssat \acc, #16, \acc
    strh.w \acc, [r1, #(2 * \number)]
    .endm

    FUNCTION ef_matvec_s8_s16_armv7m
    push {r4-r11, lr}
    sub sp, #FRAME
    str r2, [sp, #Y]
    ldrh r3, [r0, #EF_MATRIX_ROWS]
    str r3, [sp, #ROWS_LEFT]
    ldrh r4, [r0, #EF_MATRIX_COLS]
    ldrb r3, [r0, #EF_MATRIX_SHIFT]
    str r3, [sp, #SHIFT_BY]
    ldr r0, [r0, #EF_MATRIX_WEIGHTS]
    adds r4, #1
    lsrs r4, #1
    add lr, r1, r4, lsl #2
    str lr, [sp, #X_END]
    rsbs r4, #0
    and r4, #3
    str r1, [sp, #X]
    lsl r5, r4, #4
    str r5, [sp, #SKIP]
    adr r3, 3f
    mov r5, #(4f - 3f)
    mla r3, r4, r5, r3
    orr r3, #1
    str r3, [sp, #ENTRY]

8:  ldmia r0!, {r2-r9}
    ldr lr, [sp, #X_END]
    ldr r1, [sp, #X]
    ldr r10, [sp, #SKIP]
    sub r0, r10
    ldr r10, [sp, #ENTRY]
    bx r10
    .align 2
3:  COLUMN 0
    COLUMN 8
4:  COLUMN 16
    COLUMN 24
    COLUMN 32
    COLUMN 40
    COLUMN 48
    COLUMN 56
    adds r0, #64
    cmp r1, lr
    bne.w 3b
    ldr r10, [sp, #SHIFT_BY]
    ldr r1, [sp, #Y]
    ldr r11, [sp, #ROWS_LEFT]
    subs r11, #8
    bmi 6f
5:  REQUANTIZE r9, 7
7:  REQUANTIZE r8, 6
    REQUANTIZE r7, 5
    REQUANTIZE r6, 4
    REQUANTIZE r5, 3
    REQUANTIZE r4, 2
    REQUANTIZE r3, 1
    REQUANTIZE r2, 0
    adds r1, #16
    str r1, [sp, #Y]
    adds r0, #32
    str r11, [sp, #ROWS_LEFT]
    cmp r11, #0
    bgt.w 8b
    add sp, #FRAME
    pop {r4-r11, pc}
6:  rsb lr, r11, #0 /* rows that this group lacks */
    mov r12, #(7b - 5b)
    mul lr, lr, r12
    adr r12, 5b
    add r12, lr
    orr r12, #1
    bx r12
    END ef_matvec_s8_s16_armv7m

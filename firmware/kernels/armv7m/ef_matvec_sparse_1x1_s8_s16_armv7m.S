/*
 * Unstructured sparse matrix-vector product for Armv7-M without the DSP extension: int8 weights,
 * any int16 x, at most 256 columns. 4 instructions per weight that is not zero, 9 per row.
 *
 * Weights are one stream:
 *   a word      bytes of what follows up to the items
 *   3 words     for each row: bias, multiplier, number of items; up to 32, or 33: sixteen of them,
 *               and a word tells how many follow, in the same way
 *   3 words     of a row whose number is 34: the end
 *   2 bytes     an item for each weight that is not zero: its column, itself
 *
 * 32 items are unrolled and entered so that as many run.
 *
 * Registers: r0 items, r1 x, r2 accumulator, r3 multiplier, r4 number of items, r5 and r6 an
 * item's, r7 rows, r8 y, r9 shift.
 */
#include "ef_asm.h"

    .macro ITEM
10: ldrb r5, [r0], #1
    ldrsb r6, [r0], #1
    ldrsh.w r5, [r1, r5, lsl #1]
    mla r2, r5, r6, r2
11:
    .endm

    FUNCTION ef_matvec_sparse_1x1_s8_s16_armv7m
    push {r4-r9, lr}
    mov r8, r2
    ldrb r9, [r0, #EF_MATRIX_SHIFT]
    ldr r7, [r0, #EF_MATRIX_WEIGHTS]
    ldr r0, [r7], #4
    add r0, r7
1:  ldmia r7!, {r2, r3, r4}
2:  tbh [pc, r4, lsl #1]
3:  .set left, 0
    .rept 33
    .hword (5f - 3b - left * (11f - 10f)) / 2
    .set left, left + 1
    .endr
    .hword (4f - 3b) / 2, (6f - 3b) / 2
4:  .rept 16
    ITEM
    .endr
    ldr r4, [r7], #4
    b 2b
    .rept 32
    ITEM
    .endr
5:  lsl r2, r2, r9
    smull r3, r2, r2, r3
    adds r3, r3, r3 /* the lower word's bit 31 carries: rounded */
    adc r2, r2, #0
    ssat r2, #16, r2
    strh r2, [r8], #2
    b 1b
6:  pop {r4-r9, pc}
    END ef_matvec_sparse_1x1_s8_s16_armv7m

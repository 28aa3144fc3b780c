/*
 * Matrix-vector product, int8 weights, any int16 x, for more than 24 columns: 14 instructions for
 * 64 MACs, and 12 in the first two blocks, whose x stays in registers.
 *
 * Weights are one stream. A group of four rows is 4 words, start of the accumulators; 2 blocks of
 * 4 rows x 16 columns; up to 8 columns behind the last whole block, if they are no more, for which x
 * is not split; the other blocks; 4 words, multipliers that hold the shift; padded by zeros.
 *
 * Accumulators: r0 r2 r4 r6 of low bytes of x, r8 r10 r12 lr of high ones.
 */
#include "ef_matvec_split_mve.inc"

    .macro SPLIT_ROW low, high, x_high, x_low, mla=vmladava.s8
    vldrb.8 q0, [r1], #16
    \mla \high, q0, \x_high
    vmladava.s8 \low, q0, \x_low
    .endm

    .macro SPLIT_ROWS x_high, x_low, mla=vmladava.s8
    SPLIT_ROW r0, r8, \x_high, \x_low, \mla
    SPLIT_ROW r2, r10, \x_high, \x_low, \mla
    SPLIT_ROW r4, r12, \x_high, \x_low, \mla
    SPLIT_ROW r6, lr, \x_high, \x_low, \mla
    .endm

    FUNCTION ef_matvec_split_s8_s16_mve
    push {r4-r11, lr}
    vpush {d8-d15}
    ldrh r4, [r0, #EF_MATRIX_COLS]
    ldrh r9, [r0, #EF_MATRIX_ROWS]
    mov r7, r2
    sub r10, r4, #1
    lsls r11, r10, #28
    ite pl
    andpl r11, r4, #15
    movmi r11, #0
    sub r4, r4, r11
    SPLIT_X
    vctp.16 r11
    vpst
    vldrht.16 q7, [r1]
    mov r1, r0
    vldrb.8 q3, [r3], #16
    vldrb.8 q4, [r3], #16
    vldrb.8 q5, [r3], #16
    vldrb.8 q6, [r3], #16
    str r3, [sp, #X]
    subs r4, r6, #2
    ENTRY_OF r4, 20f, 21f, 30f
    ENTER_HALF 15f
    COUNT_ROWS 4
10: ldm r1!, {r0, r2, r4, r6}
    SPLIT_ROWS q3, q4, vmladav.s8
    SPLIT_ROWS q5, q6
    ldm r11, {r3, pc}
    .align 2
15: FOUR_ROWS vldrb.s16, 8, vmladava.s16, q7
    ldr.w pc, [sp, #BLOCKS]
    .align 2
    FOUR_BLOCKS
30: stm sp, {r0, r2, r4, r6, r8, r10, r12, lr}
    vldrw.32 q0, [sp]
    vldrw.32 q1, [sp, #16]
    vshl.i32 q1, q1, #8
    vadd.i32 q0, q0, q1
    FINISH_GROUP d15
    END ef_matvec_split_s8_s16_mve

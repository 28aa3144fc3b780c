/*
 * Matrix-vector product, int8 weights, any int16 x, for more than 32 columns: 14 instructions for
 * 64 MACs, and 12 in the first two blocks, whose x stays in registers.
 *
 * x = 256 high + low + 128 with high and low in int8: weights are multiplied with either and loaded
 * once. The 128 is in the start of the accumulators. Sums may wrap: the result fits 32 bits.
 *
 * Weights are one stream. A group of four rows is 4 words, start of the accumulators; blocks of
 * 4 rows x 16 columns; 4 words, multipliers that hold the shift; padded by zeros.
 *
 * Registers: r1 stream, r3 x (16 bytes high, 16 low, by turns), r5 its end, r7 y, r9 rows that are
 * left, r11 where to enter the unrolled blocks; accumulators r0 r2 r4 r6 of low, r8 r10 r12 lr of
 * high.
 */
#include "ef_matvec_mve.inc"

    .macro SPLIT_ROW low, high, x_high, x_low, mla=vmladava.s8
    vldrb.8 q0, [r1], #16
    \mla \high, q0, \x_high
    vmladava.s8 \low, q0, \x_low
    .endm

    .macro FOUR_ROWS x_high, x_low, mla=vmladava.s8
    SPLIT_ROW r0, r8, \x_high, \x_low, \mla
    SPLIT_ROW r2, r10, \x_high, \x_low, \mla
    SPLIT_ROW r4, r12, \x_high, \x_low, \mla
    SPLIT_ROW r6, lr, \x_high, \x_low, \mla
    .endm

    .macro BLOCK
    vldrb.8 q1, [r3], #16
    vldrb.8 q2, [r3], #16
    FOUR_ROWS q1, q2
    .endm

    FUNCTION ef_matvec_split_s8_s16_mve
    push {r4-r11, lr}
    vpush {d8-d13}
    ldrh r4, [r0, #COLS]
    ldrh r9, [r0, #ROWS]
    mov r7, r2
    mov r8, sp
    add r6, r4, #15
    lsrs r6, r6, #4
    sub r3, r8, r6, lsl #5
    sub r2, r3, #FRAME
    mov sp, r2
    str r8, [sp, #OLD_SP]
    movs r2, #128
    movs r5, #8
    dlstp.16 lr, r4
5:  vldrh.16 q0, [r1], #16
    vshr.s16 q1, q0, #8
    vstrb.16 q1, [r3] /* bytes behind the last column meet weights of 0 */
    vadd.i16 q0, q0, r2
    vstrb.16 q0, [r3, #16]
    adds r3, r3, r5
    eor r5, r5, #16 /* 8 and 24 by turns */
    letp lr, 5b
    ldr r1, [r0, #WEIGHTS]
    mov r5, r8
    sub r3, r8, r6, lsl #5
    vldrb.8 q3, [r3], #16
    vldrb.8 q4, [r3], #16
    vldrb.8 q5, [r3], #16
    vldrb.8 q6, [r3], #16
    str r3, [sp, #X]
    subs r4, r6, #2
    ENTRY_OF r4, 20f, 21f, 30f
    COUNT_ROWS 4
10: ldm r1!, {r0, r2, r4, r6}
    FOUR_ROWS q3, q4, vmladav.s8
    FOUR_ROWS q5, q6
    ldr r3, [sp, #X]
    bx r11
    .align 2
20: BLOCK
21: BLOCK
    BLOCK
    BLOCK
    cmp r3, r5
    bne 20b
    .align 2
30: stm sp, {r0, r2, r4, r6, r8, r10, r12, lr}
    vldrw.32 q0, [sp]
    vldrw.32 q1, [sp, #16]
    vshl.i32 q1, q1, #8
    vadd.i32 q0, q0, q1
    vldrw.32 q1, [r1], #16
    vqrdmulh.s32 q0, q0, q1
    vqmovnb.s32 q0, q0
    STORE_ROWS 4, 32, vstrh.32, 10b
    ldr sp, [sp, #OLD_SP]
    vpop {d8-d13}
    pop {r4-r11, pc}
    .size ef_matvec_split_s8_s16_mve, . - ef_matvec_split_s8_s16_mve

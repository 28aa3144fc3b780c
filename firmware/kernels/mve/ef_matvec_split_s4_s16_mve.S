/*
 * Matrix-vector product, int4 weights, any int16 x: 14 instructions for 64 MACs, and 12 in the first
 * block, whose x stays in registers.
 *
 * Two rows of weights share a byte, as in ef_matvec_s4_s8_mve.
 *
 * Weights are one stream. A group of four rows A B C D is 4 words, start of the accumulators; blocks
 * of 16 columns, AC and BD; 4 words, multipliers; padded by zeros.
 *
 * Accumulators: r0 r2 of AC and BD, r4 r6 of C and D, for low bytes of x; r8 r10 r12 lr for high ones.
 */
#include "ef_matvec_split_mve.inc"

/* accumulators are not stored: the frame begins with what LDM takes */
    .equ X, 0
    .equ ENTRY, 4

    .macro SPLIT_NIBBLES low, high, low_b, high_b, x_high, x_low, mla
    vldrb.8 q0, [r1], #16
    \mla \high, q0, \x_high
    vmladava.s8 \low, q0, \x_low
    vshl.i8 q0, q0, #4
    \mla \high_b, q0, \x_high
    vmladava.s8 \low_b, q0, \x_low
    .endm

    .macro SPLIT_ROWS x_high, x_low, mla=vmladava.s8
    SPLIT_NIBBLES r0, r8, r4, r12, \x_high, \x_low, \mla
    SPLIT_NIBBLES r2, r10, r6, lr, \x_high, \x_low, \mla
    .endm

    FUNCTION ef_matvec_split_s4_s16_mve
    push {r4-r11, lr}
    vpush {d8-d9}
    ldrh r4, [r0, #EF_MATRIX_COLS]
    ldrh r9, [r0, #EF_MATRIX_ROWS]
    mov r7, r2
    ldrb r11, [r0, #EF_MATRIX_SHIFT]
    SPLIT_X
    mov r1, r0
    mov r0, r11
    vldrb.8 q3, [r3], #16
    vldrb.8 q4, [r3], #16
    str r3, [sp, #X]
    subs r4, r6, #1
    ENTRY_OF r4, 20f, 21f, 30f
    sub r11, r0, #5
    COUNT_ROWS 4
10: ldm r1!, {r0, r2, r4, r6}
    SPLIT_ROWS q3, q4, vmladav.s8
    ldm sp, {r3, pc}
    .align 2
    FOUR_BLOCKS
30: add r0, r0, r8, lsl #8
    add r2, r2, r10, lsl #8
    add r4, r4, r12, lsl #8
    add r6, r6, lr, lsl #8
    sub r0, r0, r4, asr #4
    sub r2, r2, r6, asr #4
    vmov d0, r0, r2
    vmov d1, r4, r6
    vshl.s32 q0, r11
    FINISH_GROUP d9
    END ef_matvec_split_s4_s16_mve

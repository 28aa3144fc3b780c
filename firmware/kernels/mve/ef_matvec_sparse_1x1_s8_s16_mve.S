/*
 * Unstructured sparse matrix-vector product, gathered in eights; int8 weights, any int16 x, at most
 * 256 columns: 4 instructions for up to eight weights of a row.
 *
 * Weights are one stream. A group of eight rows, those with about as many weights, is
 *   8 words        start of the accumulators
 *   a word         number of vectors of each row
 *   a vector       for each row: numbers of 8 columns in bytes, 8 weights
 *   8 words        multipliers, which hold the shift
 *   8 halfwords    the rows' numbers
 * with vectors padded by zeros, and with any row again in place of one that lacks. Vectors and
 * multipliers go in the order 0 2 4 6 1 3 5 7, as accumulators do.
 *
 * Four vectors are unrolled and entered so that the rest comes first.
 *
 * Registers: as in ef_matvec_mve.inc, but r3 x, r5 vectors that are left; q3 column numbers.
 */
#include "ef_matvec_mve.inc"

    .macro SINGLES acc
    vldrb.u16 q3, [r1], #8
    vldrh.u16 q0, [r3, q3, uxtw #1]
    vldrb.s16 q1, [r1], #8
    vmladava.s16 \acc, q1, q0
    .endm

    .macro EIGHT_SINGLES
    SINGLES r0
    SINGLES r2
    SINGLES r4
    SINGLES r6
    SINGLES r8
    SINGLES r10
    SINGLES r12
    SINGLES lr
    .endm

    FUNCTION ef_matvec_sparse_1x1_s8_s16_mve
    push {r4-r11, lr}
    sub sp, #FRAME
    ldrh r9, [r0, #EF_MATRIX_ROWS]
    mov r3, r1
    mov r7, r2
    ldr r1, [r0, #EF_MATRIX_WEIGHTS]
10: ldm r1!, {r0, r2, r4, r6, r8, r10, r12, lr}
    ldr r5, [r1], #4
    and r11, r5, #3
    tbh [pc, r11, lsl #1]
19: .hword (29f - 19b) / 2, (23f - 19b) / 2, (22f - 19b) / 2, (21f - 19b) / 2
20: EIGHT_SINGLES
21: EIGHT_SINGLES
22: EIGHT_SINGLES
23: EIGHT_SINGLES
29: subs r5, #4
    bpl.w 20b
    REQUANTIZE_EIGHT
    vldrh.u16 q1, [r1], #16
    vstrh.16 q0, [r7, q1, uxtw #1]
    subs r9, #8
    bgt.w 10b
    add sp, #FRAME
    pop {r4-r11, pc}
    END ef_matvec_sparse_1x1_s8_s16_mve

/*
 * Matrix-vector product of 4 x 4 blocks, weights stored in 16 bits. 12 instructions per block of
 * 16 MACs.
 *
 * Two columns of a block are A B C D, a word each. Multipliers already hold the shift.
 */
#include "ef_matvec_sparse_dsp.inc"

    .macro ROWS_OF x
    smlad r2, r8, \x, r2
    smlad r3, r9, \x, r3
    smlad r4, r10, \x, r4
    smlad r5, r11, \x, r5
    .endm

    .macro BLOCK byte
    ADD_OFFSET r1, r1, \byte
    ldm r1, {r6, r7}
    ldmia.w r0!, {r8-r11}
    ROWS_OF r6
    LOAD_WEIGHTS r8, \byte
    ROWS_OF r7
    .endm

    FUNCTION ef_matvec_sparse_4x4_s16_s16_dsp
    PROLOGUE
    SPARSE_PROLOGUE
    ENTER_ITEMS
    EIGHT_ITEMS
    MORE_ITEMS
    ldmia.w r0!, {r8-r10}
    ldm sp, {r1, r6, r7}
    MULTIPLY_AND_SATURATE lr, r8, r9, r10
    STORE_GROUP
    END ef_matvec_sparse_4x4_s16_s16_dsp

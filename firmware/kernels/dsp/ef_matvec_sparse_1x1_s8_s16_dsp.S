/*
 * Unstructured sparse matrix-vector product, int8, any int16 x, at most 256 columns: 13
 * instructions for four weights that are not zero, 7 per row; 12 bytes per four.
 *
 * A four begins with a word of column numbers in bytes, the first in the lowest.
 */
#include "ef_matvec_sparse_1x1_dsp.inc"

w01 .req r6
w23 .req r7

    .macro COLUMN number
    .if \number
    uxtb.w r12, r5, ror #(8 * \number)
    .else
    uxtb.w r12, r5
    .endif
    ldrh.w r12, [r1, r12, lsl #1]
    .endm

    SPARSE_MATVEC ef_matvec_sparse_1x1_s8_s16_dsp, r7

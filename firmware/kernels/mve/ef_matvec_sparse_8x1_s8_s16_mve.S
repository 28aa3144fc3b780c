/*
 * Matrix-vector product of columns of 8 rows, gathered in eights; int8 weights, any int16 x, at
 * most 256 columns: 18 instructions for 64 MACs.
 */
#include "ef_matvec_sparse_mve.inc"

    FUNCTION ef_matvec_sparse_8x1_s8_s16_mve
    SPARSE_MATVEC vldrb.u16, 8, vldrh.u16, vldrb.s16, vmladava.s16, , uxtw #1
    END ef_matvec_sparse_8x1_s8_s16_mve

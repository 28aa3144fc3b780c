/*
 * Matrix-vector product of columns of 8 rows, gathered in sixteens; int8 weights, x of at most 8
 * bits and 128 columns: 18 instructions for 128 MACs.
 *
 * Columns are stored times two: lower bytes of x are gathered, which hold all of it.
 */
#include "ef_matvec_sparse_mve.inc"

    FUNCTION ef_matvec_sparse_8x1_s8_s8_mve
    SPARSE_MATVEC vldrb.u8, 16, vldrb.u8, vldrb.8, vmladava.s8
    END ef_matvec_sparse_8x1_s8_s8_mve

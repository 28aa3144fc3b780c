/*
 * Matrix-vector product, int8 weights, x of at most 8 bits: 17 instructions for 128 MACs.
 * Multipliers in the stream hold the shift.
 */
#include "ef_matvec_mve.inc"

    FUNCTION ef_matvec_s8_s8_mve
    MATVEC_S8
    END ef_matvec_s8_s8_mve

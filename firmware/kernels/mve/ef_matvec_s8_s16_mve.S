/*
 * Matrix-vector product, int8 weights, any int16 x: 17 instructions for 64 MACs. Multipliers in the
 * stream hold the shift.
 */
#include "ef_matvec_mve.inc"

    FUNCTION ef_matvec_s8_s16_mve
    MATVEC_S16
    END ef_matvec_s8_s16_mve

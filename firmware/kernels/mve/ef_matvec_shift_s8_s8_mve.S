/* ef_matvec_s8_s8_mve with a shift of the accumulators, for ratios of 1 and more. */
#include "ef_matvec_mve.inc"

    FUNCTION ef_matvec_shift_s8_s8_mve
    MATVEC_S8 shifted=1
    END ef_matvec_shift_s8_s8_mve

/*
 * Matrix-vector product, int4 weights, x of at most 8 bits: 17 instructions for 128 MACs.
 *
 * A byte holds 16 a + b, a and b weights of two rows. Its sum is 16 A + B; shifted by four bits, it
 * is 16 b, whose sum is 16 B. Both may wrap, but 16 A and 16 B fit 32 bits for every input, which is
 * checked when the weights are packed; so any ratio fits, as the shift takes the 16 away.
 *
 * The stream is that of ef_matvec_mve.inc, but 4 pairs of rows x 16 columns in a block, and the
 * accumulators start as sums do.
 */
#include "ef_matvec_mve.inc"

    FUNCTION ef_matvec_s4_s8_mve
    MATVEC_S8 shifted=1, kind=_S4
    END ef_matvec_s4_s8_mve

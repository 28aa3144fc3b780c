/* GRU cell with the reset gate before the product; see edgeflow/program/nodes/gru_reset_before.py.
 */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_gru_reset_before_step(const ef_gru_reset_before *gru, const int16_t *x, int16_t *h,
                              int16_t *scratch) {
    const unsigned hidden = gru->hidden;
    int16_t *kept = scratch;                    /* r h, aligned and padded as a matvec reads it */
    int16_t *a = scratch + ef_round_up(hidden); /* input part of r, z, n: Q3.12 */
    int16_t *u = a + 3 * hidden;                /* recurrent part of r, z, then of n */
    gru->input->matvec(gru->input, x, a);
    gru->recurrent->matvec(gru->recurrent, h, u);
    int16_t *z = a + hidden;
    for (unsigned i = 0; i < hidden; i++) {
        int32_t r = ef_lookup(ef_table_sigmoid, ef_sat16((int32_t)a[i] + u[i]));
        z[i] = (int16_t)ef_lookup(ef_table_sigmoid, ef_sat16((int32_t)z[i] + u[hidden + i]));
        kept[i] = (int16_t)((r * h[i] + ((int32_t)1 << 14)) >> 15); /* no larger than h */
    }
    gru->candidate->matvec(gru->candidate, kept, u);

    const unsigned up = 16u - gru->state_bits; /* state to Q0.15 */
    for (unsigned i = 0; i < hidden; i++) {
        int32_t n = ef_lookup(ef_table_tanh, ef_sat16((int32_t)a[2 * hidden + i] + u[i]));
        /* n + z (h - n) in Q30: the product is below 2^31, the sum between n and h */
        int32_t blend = n * ((int32_t)1 << 15) + z[i] * (h[i] * ((int32_t)1 << up) - n);
        h[i] = ef_narrow(blend, 15u + up, gru->state_bits);
    }
}

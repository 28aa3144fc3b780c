/* GRU cell with the reset gate after the product; see edgeflow/program/nodes/gru.py. */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_gru_step(const ef_gru *gru, const int16_t *x, int16_t *h, int16_t *scratch) {
    const unsigned hidden = gru->hidden;
    int16_t *a = scratch;              /* input part of r, z, n: Q3.12 */
    int16_t *u = scratch + 3 * hidden; /* recurrent part */
    gru->input->matvec(gru->input, x, a);
    gru->recurrent->matvec(gru->recurrent, h, u);

    const unsigned up = 16u - gru->state_bits; /* state to Q0.15 */
    const unsigned down = 15u + up;
    const int32_t half = (int32_t)1 << (down - 1u);
    const int32_t limit = ((int32_t)1 << (gru->state_bits - 1u)) - 1;
    for (unsigned i = 0; i < hidden; i++) {
        int32_t r = ef_lookup(ef_table_sigmoid, ef_sat16((int32_t)a[i] + u[i]));
        int32_t z = ef_lookup(ef_table_sigmoid, ef_sat16((int32_t)a[hidden + i] + u[hidden + i]));
        int32_t reset = (r * u[2 * hidden + i] + ((int32_t)1 << 14)) >> 15;
        int32_t n = ef_lookup(ef_table_tanh, ef_sat16(a[2 * hidden + i] + reset));
        /* n + z (h - n) in Q30: the product is below 2^31, the sum between n and h */
        int32_t blend = n * ((int32_t)1 << 15) + z * (h[i] * ((int32_t)1 << up) - n);
        h[i] = (int16_t)ef_clip((blend + half) >> down, -limit, limit);
    }
}

/* GRU cell whose state keeps all bits; see edgeflow/program/nodes/slow_gru.py. */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_slow_gru_step(const ef_slow_gru *gru, const int16_t *x, int16_t *h, int32_t *m,
                      int16_t *scratch) {
    const unsigned hidden = gru->hidden, bits = gru->state_bits;
    int16_t *a = scratch;              /* input part of r, z, n: Q3.12 */
    int16_t *u = scratch + 3 * hidden; /* recurrent part */
    gru->input->matvec(gru->input, x, a);
    gru->recurrent->matvec(gru->recurrent, h, u);
    for (unsigned i = 0; i < hidden; i++) {
        int32_t r = ef_lookup(ef_table_sigmoid, ef_sat16((int32_t)a[i] + u[i]));
        int32_t z = ef_lookup(ef_table_sigmoid, ef_sat16((int32_t)a[hidden + i] + u[hidden + i]));
        int32_t reset = (r * u[2 * hidden + i] + ((int32_t)1 << 14)) >> 15;
        int32_t n = ef_lookup(ef_table_tanh, ef_sat16(a[2 * hidden + i] + reset));
        /* the product is at most 2^15 65535 < 2^31, the sum between m and n */
        m[i] = ef_leak(m[i], ((int32_t)1 << 15) - z, n);
        h[i] = (int16_t)ef_narrow(m[i], 31u - bits, bits);
    }
}

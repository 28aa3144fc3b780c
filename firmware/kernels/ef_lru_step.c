/* Linear Recurrent Unit; see edgeflow/program/nodes/lru.py. */
#include "ef_kernels.h"
#include "ef_math.h"

#define LIMIT ((int32_t)1 << 29)

/* a p + b q in Q1.30: within 2^30, as the products are within 2^59 */
static int32_t rotated(int32_t a, int32_t p, int32_t b, int32_t q) {
    return (int32_t)(((int64_t)a * p + (int64_t)b * q + ((int64_t)1 << 29)) >> 30);
}

void ef_lru_step(const ef_lru *cell, const int16_t *x, int32_t *h, int16_t *y, int16_t *scratch) {
    const unsigned size = cell->size, hidden = cell->hidden, bits = cell->state_bits;
    int16_t *read = scratch; /* the states as their matrix reads them */
    int16_t *v = read + ((2 * size + 3u) & ~3u);
    int16_t *c = v + 2 * size + hidden;
    cell->input->matvec(cell->input, x, v);
    for (unsigned k = 0; k < size; k++) {
        const int32_t a = cell->real[k], b = cell->imaginary[k], p = h[k], q = h[size + k];
        const int32_t unit = (int32_t)1 << cell->shift[k]; /* at most 2^14 */
        h[k] = ef_clip(rotated(a, p, -b, q) + v[k] * unit, -LIMIT, LIMIT);
        h[size + k] = ef_clip(rotated(b, p, a, q) + v[size + k] * unit, -LIMIT, LIMIT);
        read[k] = ef_narrow(h[k], 30u - bits, bits);
        read[size + k] = ef_narrow(h[size + k], 30u - bits, bits);
    }
    cell->output->matvec(cell->output, read, c);
    for (unsigned i = 0; i < hidden; i++) {
        const int32_t value = ef_lookup(ef_table_tanh, ef_sat16((int32_t)v[2 * size + i] + c[i]));
        y[i] = ef_narrow(2 * value, 17u - bits, bits);
    }
}

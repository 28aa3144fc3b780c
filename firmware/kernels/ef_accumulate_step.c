/* Sum over time; see edgeflow/program/nodes/accumulate.py. */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_accumulate_step(const ef_accumulate *cell, const int16_t *x, int32_t *sum, int16_t *y) {
    const int32_t limit = (int32_t)1 << 30;
    const int32_t leak = 32768 - cell->decay;
    const int32_t half = ((int32_t)1 << cell->shift) >> 1;
    for (unsigned i = 0; i < cell->size; i++) {
        /* sum * leak / 2^15 in two parts: within 2^15 * 2^15 and 2^15 * 2^15, no 64-bit product */
        int32_t high = sum[i] >> 15, low = sum[i] & 0x7fff;
        int32_t lost = high * leak + ((low * leak + ((int32_t)1 << 14)) >> 15);
        sum[i] = ef_clip(sum[i] - lost + x[i], -limit, limit);
        y[i] = (int16_t)ef_sat16((sum[i] + half) >> cell->shift);
    }
}

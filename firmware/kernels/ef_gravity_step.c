/* Slow and fast part of values; see edgeflow/program/nodes/gravity.py. */
#include <string.h>

#include "ef_kernels.h"
#include "ef_math.h"

void ef_gravity_step(const ef_gravity *cell, const int16_t *x, int32_t *slow, int16_t *started,
                     int16_t *y) {
    const int32_t limit = ((int32_t)1 << (cell->bits - 1)) - 1, rate = cell->rate;
    memcpy(y, x, cell->size * sizeof *y);
    int16_t *below = y + cell->size;
    x += cell->first;
    y += cell->first;
    for (unsigned i = 0; i < cell->count; i++) {
        const int32_t wide = x[i] * ((int32_t)1 << 15);
        int32_t m = *started ? slow[i] : wide;
        /* within +-2^31, as both are within 2^30 and x is at most 2^15 - 1; rate times it in two
           parts: within 2^16 * 32767 and, below that, 2^15 */
        const int32_t away = wide - m;
        m += (away >> 15) * rate + (((away & 0x7fff) * rate + ((int32_t)1 << 14)) >> 15);
        slow[i] = m;
        const int32_t part = (m + ((int32_t)1 << 14)) >> 15;
        below[i] = (int16_t)part;
        y[i] = (int16_t)ef_clip(x[i] - part, -limit, limit);
    }
    *started = 1;
}

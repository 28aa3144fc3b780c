/* Differences of successive samples; see edgeflow/program/nodes/difference.py. */
#include <string.h>

#include "ef_kernels.h"
#include "ef_math.h"

void ef_difference_step(const ef_difference *cell, const int16_t *x, int16_t *past,
                        int16_t *started, int16_t *y) {
    const int32_t limit = ((int32_t)1 << (cell->bits - 1)) - 1;
    if (cell->keep) {
        memcpy(y, x, cell->size * sizeof *y);
        y += cell->size;
    }
    x += cell->first;
    for (unsigned i = 0; i < cell->count; i++) {
        const int32_t before = *started ? past[i] : x[i];
        y[i] = (int16_t)ef_clip(x[i] - before, -limit, limit);
        past[i] = x[i];
    }
    *started = 1;
}

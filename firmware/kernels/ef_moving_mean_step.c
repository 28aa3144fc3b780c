/* Mean of the last steps; see edgeflow/program/nodes/moving_mean.py. */
#include <string.h>

#include "ef_kernels.h"
#include "ef_math.h"

void ef_moving_mean_step(const ef_moving_mean *cell, const int16_t *x, int16_t *past, int32_t *sum,
                         int16_t *y) {
    const unsigned size = cell->size, others = (cell->steps - 1u) * size;
    for (unsigned i = 0; i < size; i++) {
        sum[i] += x[i] - past[i];
        y[i] = ef_requantize(sum[i], cell->multiplier, 1);
    }
    memmove(past, past + size, others * sizeof *past);
    memcpy(past + others, x, size * sizeof *past);
}

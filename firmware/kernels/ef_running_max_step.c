/* Largest value since the reset; see edgeflow/program/nodes/running_max.py. */
#include "ef_kernels.h"

void ef_running_max_step(const ef_running_max *cell, const int16_t *x, int32_t *above, int16_t *y) {
    const unsigned size = cell->size;
    for (unsigned i = 0; i < size; i++) {
        const int32_t here = x[i] + 32768;
        if (here > above[i])
            above[i] = here;
        y[i] = (int16_t)(above[i] - 32768);
    }
}

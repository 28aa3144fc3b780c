/* Largest of the last steps; see edgeflow/program/nodes/moving_max.py. */
#include <string.h>

#include "ef_kernels.h"

void ef_moving_max_step(const ef_moving_max *cell, const int16_t *x, int16_t *past, int16_t *y) {
    const unsigned size = cell->size, others = (cell->steps - 2u) * size;
    for (unsigned i = 0; i < size; i++) {
        const int16_t *seen = past + i;
        int16_t most = x[i];
        for (unsigned step = 1; step < cell->steps; step++, seen += size)
            most = *seen > most ? *seen : most;
        y[i] = most;
    }
    memmove(past, past + size, others * sizeof *past);
    memcpy(past + others, x, size * sizeof *past);
}

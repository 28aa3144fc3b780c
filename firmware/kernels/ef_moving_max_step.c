/* Largest of the last steps; see edgeflow/program/nodes/moving_max.py. */
#include <string.h>

#include "ef_kernels.h"

void ef_moving_max_step(const ef_moving_max *cell, const int16_t *x, int16_t *past, int16_t *y) {
    const unsigned size = cell->size, others = (cell->steps - 2u) * size;
    const int16_t *seen = past;
    memcpy(y, x, size * sizeof *y);
    for (unsigned step = 1; step < cell->steps; step++, seen += size)
        for (unsigned i = 0; i < size; i++)
            if (seen[i] > y[i])
                y[i] = seen[i];
    memmove(past, past + size, others * sizeof *past);
    memcpy(past + others, x, size * sizeof *past);
}

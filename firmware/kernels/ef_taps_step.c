/* Delay line; see edgeflow/program/nodes/taps.py. */
#include <string.h>

#include "ef_kernels.h"

void ef_taps_step(const ef_taps *cell, const int16_t *x, int16_t *past, int16_t *y) {
    const unsigned size = cell->size, stride = cell->dilation * size;
    const unsigned length = (cell->taps - 1u) * stride;
    for (unsigned start = 0; start < length; start += stride, y += size)
        memcpy(y, past + start, size * sizeof *y);
    memcpy(y, x, size * sizeof *y);
    memmove(past, past + size, (length - size) * sizeof *past);
    memcpy(past + length - size, x, size * sizeof *past);
}

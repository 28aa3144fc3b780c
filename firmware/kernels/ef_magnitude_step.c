/* Lengths of groups of values; see edgeflow/program/nodes/magnitude.py. */
#include <string.h>

#include "ef_kernels.h"
#include "ef_math.h"

/* the root bit by bit, rounded down, and what its square leaves of the value */
static uint32_t square_root(uint32_t value, uint32_t *rest) {
    uint32_t root = 0;
    for (int bit = 15; bit >= 0; bit--) {
        const uint32_t more = (2 * root + ((uint32_t)1 << bit)) << bit;
        if (value >= more) {
            value -= more;
            root += (uint32_t)1 << bit;
        }
    }
    *rest = value;
    return root;
}

void ef_magnitude_step(const ef_magnitude *cell, const int16_t *x, int16_t *y) {
    const unsigned shift = cell->shift;
    const int32_t limit = ((int32_t)1 << (cell->bits - 1)) - 1;
    if (cell->keep) {
        memcpy(y, x, cell->size * sizeof *y);
        y += cell->size;
    }
    x += cell->first;
    for (unsigned i = 0; i < cell->count; i++) {
        uint32_t squares = 0, rest; /* proven to fit */
        for (unsigned k = 0; k < cell->group; k++, x++)
            squares += (uint32_t)((int32_t)*x * *x);
        uint32_t root = square_root(squares, &rest);
        if (shift > 0)
            root = (root + (((uint32_t)1 << shift) >> 1)) >> shift;
        else if (rest > root)
            root++;
        *y++ = (int16_t)ef_clip((int32_t)root, 0, limit);
    }
}

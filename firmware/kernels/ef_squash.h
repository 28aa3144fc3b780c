/* A function of each value, by its table; see edgeflow/program/nodes/squash.py. */
#ifndef EF_SQUASH_H
#define EF_SQUASH_H

#include "ef_kernels.h"
#include "ef_math.h"

static inline void ef_squash_values(const ef_squash *cell, const EF_FLASH int16_t *table,
                                    const int16_t *x, int16_t *y) {
    for (unsigned i = 0; i < cell->size; i++) {
        const int32_t v = ef_requantize(x[i], cell->multiplier[i], cell->shift);
        y[i] = ef_narrow(2 * ef_lookup(table, v), 17u - cell->state_bits, cell->state_bits);
    }
}

#endif

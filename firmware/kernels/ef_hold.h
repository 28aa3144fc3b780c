/* Delta updates: the columns whose x moved by the threshold or more since they were read. */
#ifndef EF_HOLD_H
#define EF_HOLD_H

#include <stdint.h>

#include "ef_kernels.h"

/* A column to update. */
typedef struct {
    const EF_FLASH int8_t *column; /* its weights, row by row */
    int32_t change;                /* of x */
} ef_change;

/* Tells whether any of x[0..count-1] is away from what is held. */
static inline int ef_fires(const int16_t *x, const int16_t *held, unsigned count,
                           int32_t threshold) {
    for (unsigned i = 0; i < count; i++) {
        const int32_t delta = (int32_t)x[i] - held[i];
        if (delta >= threshold || -delta >= threshold)
            return 1;
    }
    return 0;
}

/* Makes x_hat. */
static inline void ef_hold(const ef_matrix *matrix, const int16_t *x, int16_t *held) {
    const unsigned cols = matrix->cols, group = matrix->group;
    const int32_t threshold = matrix->threshold;
    if (group == 1) {
        for (unsigned i = 0; i < cols; i++)
            if (ef_fires(x + i, held + i, 1, threshold))
                held[i] = x[i];
        return;
    }
    for (unsigned first = 0; first < cols; first += group) {
        const unsigned count = cols - first < group ? cols - first : group;
        if (ef_fires(x + first, held + first, count, threshold))
            for (unsigned i = first; i < first + count; i++)
                held[i] = x[i];
    }
}

#endif

/* A read-out that learns; see edgeflow/program/nodes/adaptive_linear.py. */
#include <string.h>

#include "ef_kernels.h"
#include "ef_math.h"

/* Copies a multiple of four values, which both have room for: in words, without a call. */
static inline void copy(int16_t *to, const int16_t *from, unsigned size) {
    unsigned left = ef_round_up(size);
    for (; left >= 16; left -= 16, to += 16, from += 16)
        memcpy(to, from, 16 * sizeof *to);
    for (; left > 0; left -= 4, to += 4, from += 4)
        memcpy(to, from, 4 * sizeof *to);
}

void ef_adaptive_step(const ef_adaptive *cell, const int16_t *x, int16_t *seen, const int32_t *bias,
                      const int16_t *weights, const int16_t *active, int16_t *y) {
    copy(seen, x, cell->inputs);
    if (*active)
        ef_adaptive_product(cell, seen, bias, weights, y);
    else
        cell->matrix->matvec(cell->matrix, x, y);
}

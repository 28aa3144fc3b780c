/* A read-out that learns; see edgeflow/program/nodes/adaptive_linear.py. */
#include <string.h>

#include "ef_kernels.h"

void ef_adaptive_step(const ef_adaptive *cell, const int16_t *x, int16_t *seen, const int32_t *bias,
                      const int16_t *weights, const int16_t *active, int16_t *y) {
    memcpy(seen, x, cell->inputs * sizeof *x);
    if (*active)
        ef_adaptive_product(cell, seen, bias, weights, y);
    else
        cell->matrix->matvec(cell->matrix, x, y);
}

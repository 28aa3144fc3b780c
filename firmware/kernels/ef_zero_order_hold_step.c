/* Zero-order hold; see edgeflow/program/nodes/zero_order_hold.py. */
#include <string.h>

#include "ef_kernels.h"

void ef_zero_order_hold_step(const ef_zero_order_hold *cell, const int16_t *x, int16_t *last) {
    memcpy(last, x, cell->size * sizeof *last);
}

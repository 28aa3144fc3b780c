/* Rate divider; see edgeflow/program/nodes/decimate.py. y is written where x is passed on. */
#include <string.h>

#include "ef_kernels.h"

void ef_decimate_step(const ef_decimate *cell, const int16_t *x, int16_t *phase, int16_t *y) {
    if (*phase != (int16_t)cell->first && *phase != -1) {
        ++*phase;
        return;
    }
    *phase = (int16_t)-cell->stride;
    memcpy(y, x, cell->size * sizeof *y);
}

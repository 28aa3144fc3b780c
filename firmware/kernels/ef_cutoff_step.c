/* Early exit; see edgeflow/program/nodes/cutoff.py. */
#include "ef_kernels.h"

void ef_cutoff_step(const ef_cutoff *cell, const int16_t *x, int16_t *held, int16_t *count) {
    int32_t first = -32768, second = -32768;
    for (unsigned i = 0; i < cell->size; i++) {
        const int32_t value = x[i];
        held[i] = x[i];
        if (value > first) {
            second = first;
            first = value;
        } else if (value > second) {
            second = value;
        }
    }
    if (*count < 32767)
        (*count)++;
    if ((int32_t)*count >= cell->start && first - second >= cell->threshold)
        *count = -1;
}

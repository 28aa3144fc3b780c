/* Repetitions, counted; see edgeflow/program/nodes/count.py. */
#include "ef_kernels.h"

void ef_count_step(const ef_count *cell, const int16_t *x, int16_t *count, int16_t *up,
                   int16_t *wait) {
    const int16_t value = x[cell->channel];
    const int rises = !*up && value > cell->high && *wait == 0;
    if (rises && *count < 32767)
        (*count)++;
    *up = (int16_t)(rises || (*up && value >= cell->low));
    *wait = (int16_t)(rises ? cell->apart : *wait > 0 ? *wait - 1 : 0);
}

/* Anomaly score of forecasts; see edgeflow/program/nodes/residual.py. */
#include <string.h>

#include "ef_kernels.h"
#include "ef_math.h"

void ef_residual_step(const ef_residual *cell, const int16_t *x, int16_t *past, int32_t *bias,
                      int32_t *mean, int16_t *seen, int16_t *pace, int16_t *peak, int16_t *flag,
                      int16_t *y) {
    const unsigned size = cell->size, others = cell->horizon * size;
    const int32_t unit = (int32_t)1 << cell->up, time = *seen;
    const int learning = time < (int32_t)cell->learn;
    if (learning && time + 1 >= (int32_t)2 << *pace)
        (*pace)++;
    memmove(past, past + size, others * sizeof *past);
    for (unsigned i = 0; i < size; i++)
        past[others + i] = (int16_t)ef_sat16(x[i] + (cell->change ? x[size + i] * unit : 0));
    int32_t total = (int32_t)1 << 14;
    for (unsigned i = 0; i < size; i++) {
        const int32_t error = ef_sat16(x[size + i] * unit - past[i]);
        if (learning)
            bias[i] += (error * 32768 - bias[i]) >> *pace;
        const int32_t unbiased = ef_sat16(error - (bias[i] >> 15));
        mean[i] += (unbiased * 32768 - mean[i]) >> cell->shift;
        const int32_t value = mean[i] >> 15;
        total += (value < 0 ? -value : value) * cell->weight[i];
    }
    const int32_t score = ef_clip(total >> 15, 0, 32767);
    if (learning && time >= (int32_t)cell->wait && score > *peak)
        *peak = (int16_t)score;
    int32_t limit = (*peak * (int32_t)cell->gain) >> 12;
    limit = ef_clip(limit, cell->threshold, 32767);
    if (*flag)
        limit = (int32_t)(((uint32_t)limit * cell->keep) >> 15);
    *flag = (int16_t)(!learning && score > limit);
    if (time < 32767)
        (*seen)++;
    y[0] = (int16_t)score;
    y[1] = *flag;
}

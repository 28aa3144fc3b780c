/* A function of each value; see edgeflow/program/nodes/curve.py. */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_curve_step(const ef_curve *cell, const int16_t *x, int16_t *y) {
    for (unsigned i = 0; i < cell->size; i++) {
        int32_t sum = (int32_t)(x[i] > 0 ? cell->up[i] : cell->down[i]) * x[i];
        if (cell->table) {
            const int32_t v = ef_requantize(x[i], cell->multiplier[i], cell->shift);
            sum += cell->gain[i] * ef_lookup(cell->table, v);
        }
        y[i] = ef_narrow(sum, cell->fraction, cell->state_bits);
    }
}

/* minGRU cell; see edgeflow/program/nodes/mingru.py. */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_mingru_step(const ef_mingru *cell, const int16_t *x, int32_t *h, int16_t *y,
                    int16_t *scratch) {
    const unsigned hidden = cell->hidden;
    cell->input->matvec(cell->input, x, scratch);
    const int16_t *z = scratch, *candidate = scratch + hidden;
    for (unsigned k = 0; k < hidden; k++) {
        int32_t rate = z[k] > -32768 ? ef_lookup(ef_table_sigmoid, z[k]) : 0;
        h[k] = ef_leak(h[k], rate, candidate[k]);
        y[k] = ef_narrow(h[k], cell->output_shift, cell->state_bits);
    }
}

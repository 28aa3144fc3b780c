/* minLSTM cell; see edgeflow/program/nodes/minlstm.py. */
#include "ef_kernels.h"
#include "ef_math.h"

/* ln(sigmoid(v)) in Q3.12 without its range: |v| < 2^19 */
static inline int32_t log_sigmoid(int32_t v) {
    int32_t size = v < 0 ? -v : v;
    int32_t tail = ef_lookup(ef_table_log_sigmoid, size > 32767 ? 32767 : size);
    return v < 0 ? v + tail : tail;
}

void ef_minlstm_step(const ef_minlstm *cell, const int16_t *x, int32_t *h, int16_t *y,
                     int16_t *scratch) {
    const unsigned hidden = cell->hidden;
    cell->input->matvec(cell->input, x, scratch);
    const int16_t *f = scratch, *i = scratch + hidden, *candidate = scratch + 2 * hidden;
    const int32_t unit = (int32_t)1 << cell->gate_shift;
    for (unsigned k = 0; k < hidden; k++) {
        int32_t ratio = ef_sat16(log_sigmoid(i[k] * unit) - log_sigmoid(f[k] * unit));
        int32_t rate = ratio > -32768 ? ef_lookup(ef_table_sigmoid, ratio) : 0;
        h[k] = ef_leak(h[k], rate, candidate[k]);
        y[k] = ef_narrow(h[k], cell->output_shift, cell->state_bits);
    }
}

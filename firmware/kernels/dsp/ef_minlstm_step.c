/* minLSTM cell, two units at a time: h and scratch have room for an even number of them. */
#include "ef_kernels.h"
#include "ef_math_dsp.h"

/* ln(sigmoid(v)) in Q3.12 without its range, of both |v| < 2^19 */
static inline void log_sigmoid(int32_t *v0, int32_t *v1, ef_interpolation constants) {
    const int32_t size0 = *v0 < 0 ? -*v0 : *v0, size1 = *v1 < 0 ? -*v1 : *v1;
    int32_t tail0, tail1;
    ef_lookup_pair(ef_table_log_sigmoid + 128, ef_pack(ef_sat16(size0), ef_sat16(size1)), constants,
                   &tail0, &tail1);
    *v0 = (*v0 < 0 ? *v0 : 0) + (tail0 >> 8);
    *v1 = (*v1 < 0 ? *v1 : 0) + (tail1 >> 8);
}

void ef_minlstm_step(const ef_minlstm *cell, const int16_t *x, int32_t *h, int16_t *y,
                     int16_t *scratch) {
    const unsigned hidden = cell->hidden;
    cell->input->matvec(cell->input, x, scratch);
    const int16_t *f = scratch, *i = scratch + hidden, *candidate = scratch + 2 * hidden;
    const int32_t unit = (int32_t)1 << cell->gate_shift;
    const ef_interpolation constants = ef_interpolation_of();
    const ef_limits limits = ef_limits_of(cell->state_bits);
    const unsigned shift = cell->output_shift;
    const int32_t half = (int32_t)1 << (shift - 1u);
    for (unsigned k = 0;; k += 2) {
        int32_t i0 = i[k] * unit, i1 = i[k + 1] * unit, f0 = f[k] * unit, f1 = f[k + 1] * unit;
        log_sigmoid(&i0, &i1, constants);
        log_sigmoid(&f0, &f1, constants);
        i0 = ef_sat16(i0 - f0);
        i1 = ef_sat16(i1 - f1);
        ef_lookup_pair(ef_table_sigmoid + 128, ef_pack(i0, i1), constants, &f0, &f1);
        h[k] = ef_leak(h[k], i0 > -32768 ? f0 >> 8 : 0, candidate[k]);
        h[k + 1] = ef_leak(h[k + 1], i1 > -32768 ? f1 >> 8 : 0, candidate[k + 1]);
        const uint32_t pair = ef_narrow_pair(h[k], h[k + 1], shift, half, limits);
        if (k + 2 >= hidden) { /* y ends here, after one or two units */
            y[k] = (int16_t)(uint16_t)pair;
            if (k + 2 == hidden) {
                y[k + 1] = (int16_t)(pair >> 16);
            }
            return;
        }
        ef_store2(y + k, pair);
    }
}

/* minLSTM cell; see ../ef_minlstm_step.c. */
#include "ef_kernels.h"
#include "ef_math_mve.h"

/* ln(sigmoid(v)) in Q3.12 without its range: |v| < 2^19 */
static inline int32x4_t log_sigmoid(int32x4_t v) {
    int32x4_t size = vminq_s32(vabsq_s32(v), vdupq_n_s32(32767));
    int32x4_t tail = ef_lookup_x4(ef_table_log_sigmoid, size);
    return vaddq_s32(tail, vminq_s32(v, vdupq_n_s32(0)));
}

void ef_minlstm_step(const ef_minlstm *cell, const int16_t *x, int32_t *h, int16_t *y,
                     int16_t *scratch) {
    const int hidden = cell->hidden;
    const int32_t limit = ((int32_t)1 << (cell->state_bits - 1u)) - 1;
    const int16_t *f = scratch, *i = scratch + hidden, *candidate = scratch + 2 * hidden;
    cell->input->matvec(cell->input, x, scratch);
    for (int k = 0; k < hidden; k += 4) {
        const mve_pred16_t some = vctp32q((uint32_t)(hidden - k));
        int32x4_t in = log_sigmoid(vshlq_r_s32(vldrhq_z_s32(i + k, some), cell->gate_shift));
        int32x4_t out = log_sigmoid(vshlq_r_s32(vldrhq_z_s32(f + k, some), cell->gate_shift));
        int32x4_t ratio = ef_sat16_x4(vsubq_s32(in, out));
        int32x4_t rate = vpselq_s32(ef_lookup_x4(ef_table_sigmoid, ratio), vdupq_n_s32(0),
                                    vcmpgtq_n_s32(ratio, -32768));
        int32x4_t state = vldrwq_z_s32(h + k, some);
        state = ef_leak_x4(state, rate, vldrhq_z_s32(candidate + k, some));
        vstrwq_p_s32(h + k, state, some);
        vstrhq_p_s32(y + k, ef_narrow_x4(state, cell->output_shift, limit), some);
    }
}

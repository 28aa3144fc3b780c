/* minGRU cell; see ../ef_mingru_step.c. */
#include "ef_kernels.h"
#include "ef_math_mve.h"

void ef_mingru_step(const ef_mingru *cell, const int16_t *x, int32_t *h, int16_t *y,
                    int16_t *scratch) {
    const int hidden = cell->hidden;
    const int32_t limit = ((int32_t)1 << (cell->state_bits - 1u)) - 1;
    const int16_t *z = scratch, *candidate = scratch + hidden;
    cell->input->matvec(cell->input, x, scratch);
    for (int k = 0; k < hidden; k += 4) {
        const mve_pred16_t some = vctp32q((uint32_t)(hidden - k));
        int32x4_t v = vldrhq_z_s32(z + k, some);
        int32x4_t rate =
            vpselq_s32(ef_lookup_x4(ef_table_sigmoid, v), vdupq_n_s32(0), vcmpgtq_n_s32(v, -32768));
        int32x4_t state = vldrwq_z_s32(h + k, some);
        state = ef_leak_x4(state, rate, vldrhq_z_s32(candidate + k, some));
        vstrwq_p_s32(h + k, state, some);
        vstrhq_p_s32(y + k, ef_narrow_x4(state, cell->output_shift, limit), some);
    }
}

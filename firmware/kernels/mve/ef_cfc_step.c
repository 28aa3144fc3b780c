/* Gated CfC cell with constant time steps; see ../ef_cfc_step.c. */
#include "ef_kernels.h"
#include "ef_math_mve.h"

void ef_cfc_step(const ef_cfc *cfc, const int16_t *x, int16_t *h, int16_t *scratch) {
    const int16_t *v = ef_cfc_backbone(cfc, x, h, scratch);
    const int hidden = cfc->hidden;
    const int32_t gate = cfc->gate;
    const int32_t down = 17 - cfc->gate - cfc->state_bits; /* 0..9 */
    const int32_t limit = ((int32_t)1 << (cfc->state_bits - 1u)) - 1;
    for (int left = hidden; left > 0; left -= 4, v += 4, h += 4) {
        const mve_pred16_t some = vctp32q((uint32_t)left);
        int32x4_t f = ef_lookup_x4(ef_table_tanh, vldrhq_z_s32(v, some));
        int32x4_t g = ef_lookup_x4(ef_table_tanh, vldrhq_z_s32(v + hidden, some));
        int32x4_t s = ef_lookup_x4(ef_table_sigmoid, vldrhq_z_s32(v + 2 * hidden, some));
        g = vsubq_s32(g, vmulq_n_s32(f, gate));
        vstrhq_p_s32(h, ef_narrow_x4(vaddq_s32(f, ef_scale_x4(s, g)), down, limit), some);
    }
}

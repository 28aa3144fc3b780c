/* Pure CfC cell with constant time steps; see ../ef_cfc_pure_step.c. */
#include "ef_kernels.h"
#include "ef_math_mve.h"

void ef_cfc_pure_step(const ef_cfc *cfc, const int16_t *x, int16_t *h, int16_t *scratch) {
    const int16_t *v = ef_cfc_backbone(cfc, x, h, scratch);
    const int hidden = cfc->hidden;
    const int32_t limit = ((int32_t)1 << (cfc->state_bits - 1u)) - 1;
    for (int i = 0; i < hidden; i += 4) {
        const mve_pred16_t some = vctp32q((uint32_t)(hidden - i));
        int32x4_t value = ef_lookup_x4(ef_table_decay, vldrhq_z_s32(v + i, some));
        value = ef_scale_x4(value, vldrwq_z_s32(cfc->gain + i, some));
        value = vaddq_s32(value, vldrwq_z_s32(cfc->offset + i, some));
        vstrhq_p_s32(h + i, ef_narrow_x4(value, 0, limit), some);
    }
}

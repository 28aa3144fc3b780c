/* Pure CfC cell, two units at a time: h has room for an even number of them. */
#include "ef_kernels.h"
#include "ef_math_dsp.h"

void ef_cfc_pure_step(const ef_cfc *cfc, const int16_t *x, int16_t *h, int16_t *scratch) {
    const int16_t *v = ef_cfc_backbone(cfc, x, h, scratch);
    const int32_t *offset = cfc->offset, *gain = cfc->gain;
    const ef_limits limits = ef_limits_of(cfc->state_bits);
    const ef_interpolation constants = ef_interpolation_of();
    for (const int16_t *end = h + cfc->hidden; h < end; h += 2, v += 2, offset += 2, gain += 2) {
        const int last = end - h == 1; /* offset and gain end with the units */
        int32_t y0, y1;
        ef_lookup_pair(ef_table_decay + 128, ef_load2(v), constants, &y0, &y1);
        /* at most 12055 * 2^17 < 2^31 - 2^14 */
        y0 = offset[0] + (((y0 >> 8) * gain[0] + (1 << 14)) >> 15);
        y1 = last ? 0 : offset[1] + (((y1 >> 8) * gain[1] + (1 << 14)) >> 15);
        ef_store2(h, ef_clip_pair(ef_pack(ef_sat16(y0), ef_sat16(y1)), limits));
    }
}

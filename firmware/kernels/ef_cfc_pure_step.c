/* Pure CfC cell with constant time steps; see edgeflow/program/nodes/cfc.py. */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_cfc_pure_step(const ef_cfc *cfc, const int16_t *x, int16_t *h, int16_t *scratch) {
    const int16_t *v = ef_cfc_backbone(cfc, x, h, scratch);
    const unsigned hidden = cfc->hidden;
    const int32_t limit = ((int32_t)1 << (cfc->state_bits - 1u)) - 1;
    for (unsigned i = 0; i < hidden; i++) {
        /* at most 12055 * 2^17 < 2^31 - 2^14 */
        int32_t product = ef_lookup(ef_table_decay, v[i]) * cfc->gain[i];
        int32_t value = cfc->offset[i] + ((product + ((int32_t)1 << 14)) >> 15);
        h[i] = (int16_t)ef_clip(value, -limit, limit);
    }
}

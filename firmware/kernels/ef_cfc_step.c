/* Gated CfC cell with constant time steps; see edgeflow/program/nodes/cfc.py. */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_cfc_step(const ef_cfc *cfc, const int16_t *x, int16_t *h, int16_t *scratch) {
    const int16_t *v = ef_cfc_backbone(cfc, x, h, scratch);
    const unsigned hidden = cfc->hidden;
    const int32_t gate = cfc->gate;
    const unsigned down = 18u - cfc->gate - cfc->state_bits; /* 1..10 */
    const int32_t half = (int32_t)1 << (down - 1u);
    const int32_t limit = ((int32_t)1 << (cfc->state_bits - 1u)) - 1;
    for (unsigned i = 0; i < hidden; i++) {
        int32_t f = ef_lookup(ef_table_tanh, v[i]);
        int32_t g = ef_lookup(ef_table_tanh, v[hidden + i]);
        int32_t s = ef_lookup(ef_table_sigmoid, v[2 * hidden + i]);
        /* the product is at most 32767 * 65534 < 2^31 - 2^14 */
        int32_t blend = f + ((s * (g - gate * f) + ((int32_t)1 << 14)) >> 15);
        h[i] = (int16_t)ef_clip((2 * blend + half) >> down, -limit, limit);
    }
}

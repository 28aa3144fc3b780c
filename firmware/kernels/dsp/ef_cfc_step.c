/* Gated CfC cell, two units at a time: h has room for an even number of them. */
#include "ef_kernels.h"
#include "ef_math_dsp.h"

void ef_cfc_step(const ef_cfc *cfc, const int16_t *x, int16_t *h, int16_t *scratch) {
    const int16_t *v = ef_cfc_backbone(cfc, x, h, scratch);
    const unsigned hidden = cfc->hidden;
    const int32_t gate = cfc->gate;
    const unsigned down = 18u - cfc->gate - cfc->state_bits; /* 1..10 */
    const int32_t half = (int32_t)1 << (down - 1u);
    const ef_limits limits = ef_limits_of(cfc->state_bits);
    const ef_interpolation constants = ef_interpolation_of();
    const int16_t *sigmoid = ef_table_sigmoid + 128, *tanh = ef_table_tanh + 128;
    for (const int16_t *end = h + hidden; h < end; h += 2, v += 2) {
        int32_t f0, f1, g0, g1, s0, s1;
        ef_lookup_pair(tanh, ef_load2(v), constants, &f0, &f1);
        ef_lookup_pair(tanh, ef_load2(v + hidden), constants, &g0, &g1);
        ef_lookup_pair(sigmoid, ef_load2(v + 2 * hidden), constants, &s0, &s1);
        f0 >>= 8;
        f1 >>= 8;
        /* the products are at most 32767 * 65534 < 2^31 - 2^14 */
        f0 += ((s0 >> 8) * ((g0 >> 8) - gate * f0) + (1 << 14)) >> 15;
        f1 += ((s1 >> 8) * ((g1 >> 8) - gate * f1) + (1 << 14)) >> 15;
        f0 = (2 * f0 + half) >> down;
        f1 = (2 * f1 + half) >> down;
        ef_store2(h, ef_clip_pair(ef_pack(f0, f1), limits));
    }
}

/* GRU cell with the reset gate after the product, two units at a time: h and scratch have room for
   an even number of them. */
#include "ef_kernels.h"
#include "ef_math_dsp.h"

void ef_gru_step(const ef_gru *gru, const int16_t *x, int16_t *h, int16_t *scratch) {
    const unsigned hidden = gru->hidden;
    int16_t *a = scratch;              /* input part of r, z, n: Q3.12 */
    int16_t *u = scratch + 3 * hidden; /* recurrent part */
    gru->input->matvec(gru->input, x, a);
    gru->recurrent->matvec(gru->recurrent, h, u);

    const unsigned up = 16u - gru->state_bits; /* state to Q0.15 */
    const unsigned down = 15u + up;
    const int32_t half = (int32_t)1 << (down - 1u);
    const uint32_t minus_up = 0u - (1u << up);
    const ef_limits limits = ef_limits_of(gru->state_bits);
    const int16_t *sigmoid = ef_table_sigmoid + 128, *tanh = ef_table_tanh + 128;
    const ef_interpolation constants = ef_interpolation_of();
    const int16_t *end = h + hidden;
    for (; h < end; h += 2, a += 2, u += 2) {
        int32_t r0, r1, n0, n1, z0, z1;
        ef_lookup_pair(sigmoid, ef_qadd16(ef_load2(a), ef_load2(u)), constants, &r0, &r1);
        const uint32_t un = ef_load2(u + 2 * hidden);
        const uint32_t reset = ef_pack_q15(ef_smlabb((uint32_t)(r0 >> 8), un, 1 << 14),
                                           ef_smlabt((uint32_t)(r1 >> 8), un, 1 << 14));
        ef_lookup_pair(tanh, ef_qadd16(ef_load2(a + 2 * hidden), reset), constants, &n0, &n1);
        const uint32_t state = ef_load2(h);
        n0 >>= 8;
        n1 >>= 8;
        /* n - z (n - h) in Q30: the product is below 2^31, the difference between n and h */
        const int32_t d0 = ef_smlabb(state, minus_up, n0);
        const int32_t d1 = ef_smlatb(state, minus_up, n1);
        n0 = half + n0 * (1 << 15);
        n1 = half + n1 * (1 << 15);
        const uint32_t vz = ef_qadd16(ef_load2(a + hidden), ef_load2(u + hidden));
        ef_lookup_pair(sigmoid, vz, constants, &z0, &z1);
        n0 -= (z0 >> 8) * d0;
        n1 -= (z1 >> 8) * d1;
        ef_store2(h, ef_clip_pair(ef_pack(n0 >> down, n1 >> down), limits));
    }
}

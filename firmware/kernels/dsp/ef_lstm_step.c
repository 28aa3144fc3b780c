/* LSTM cell, two units at a time: h and c have room for an even number of them. */
#include "ef_kernels.h"
#include "ef_math_dsp.h"

void ef_lstm_step(const ef_lstm *lstm, const int16_t *x, int16_t *h, int16_t *c, int16_t *scratch) {
    const unsigned hidden = lstm->hidden;
    int16_t *a = scratch;              /* input part of i, f, g, o: Q3.12 */
    int16_t *u = scratch + 4 * hidden; /* recurrent part */
    lstm->input->matvec(lstm->input, x, a);
    lstm->recurrent->matvec(lstm->recurrent, h, u);

    const unsigned fraction = lstm->cell_fraction;
    const int32_t half_c = (int32_t)1 << (fraction - 1u);
    const unsigned down = 31u - lstm->state_bits; /* Q30 to the state */
    const int32_t half = (int32_t)1 << (down - 1u);
    const ef_limits limits = ef_limits_of(lstm->state_bits);
    const ef_interpolation constants = ef_interpolation_of();
    const int16_t *sigmoid = ef_table_sigmoid + 128, *tanh = ef_table_tanh + 128;
    for (const int16_t *end = h + hidden; h < end; h += 2, c += 2, a += 2, u += 2) {
        int32_t y0, y1, s0, s1;
        ef_lookup_pair(sigmoid, ef_qadd16(ef_load2(a), ef_load2(u)), constants, &s0, &s1);
        ef_lookup_pair(tanh, ef_qadd16(ef_load2(a + 2 * hidden), ef_load2(u + 2 * hidden)),
                       constants, &y0, &y1);
        /* f c and i g are each at most 32767 * 32768, their sum and 2^14 below 2^31 */
        s0 = (((s0 >> 8) * (y0 >> 8)) >> (15u - fraction)) + (1 << 14);
        s1 = (((s1 >> 8) * (y1 >> 8)) >> (15u - fraction)) + (1 << 14);
        ef_lookup_pair(sigmoid, ef_qadd16(ef_load2(a + hidden), ef_load2(u + hidden)), constants,
                       &y0, &y1);
        const uint32_t cell = ef_load2(c);
        const int32_t c0 = ef_sat16_q15(ef_smlabb((uint32_t)(y0 >> 8), cell, s0));
        const int32_t c1 = ef_sat16_q15(ef_smlabt((uint32_t)(y1 >> 8), cell, s1));
        ef_store2(c, ef_pack(c0, c1));
        s0 = ef_sat16((c0 * (1 << 12) + half_c) >> fraction); /* Q3.12 */
        s1 = ef_sat16((c1 * (1 << 12) + half_c) >> fraction);
        ef_lookup_pair(tanh, ef_pack(s0, s1), constants, &s0, &s1);
        ef_lookup_pair(sigmoid, ef_qadd16(ef_load2(a + 3 * hidden), ef_load2(u + 3 * hidden)),
                       constants, &y0, &y1);
        s0 = ((y0 >> 8) * (s0 >> 8) + half) >> down;
        s1 = ((y1 >> 8) * (s1 >> 8) + half) >> down;
        ef_store2(h, ef_clip_pair(ef_pack(s0, s1), limits));
    }
}

/* LSTM cell whose cell state has 32 bits; see edgeflow/program/nodes/wide_lstm.py. */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_wide_lstm_step(const ef_wide_lstm *lstm, const int16_t *x, int16_t *h, int32_t *c,
                       int16_t *scratch) {
    const unsigned hidden = lstm->hidden;
    int16_t *a = scratch;              /* input part of i, f, g, o: Q3.12 */
    int16_t *u = scratch + 4 * hidden; /* recurrent part */
    lstm->input->matvec(lstm->input, x, a);
    lstm->recurrent->matvec(lstm->recurrent, h, u);

    const unsigned up = 30u - lstm->cell_fraction, to_gate = lstm->cell_fraction - 12u;
    const int32_t limit = (int32_t)1 << 30, half = (int32_t)1 << (to_gate - 1u);
    const unsigned down = 31u - lstm->state_bits; /* Q30 to the state */
    for (unsigned k = 0; k < hidden; k++) {
        const int16_t *ak = a + k, *uk = u + k;
        int32_t i = ef_lookup(ef_table_sigmoid, ef_sat16((int32_t)ak[0] + uk[0]));
        int32_t f = ef_lookup(ef_table_sigmoid, ef_sat16((int32_t)ak[hidden] + uk[hidden]));
        int32_t g = ef_lookup(ef_table_tanh, ef_sat16((int32_t)ak[2 * hidden] + uk[2 * hidden]));
        int32_t o = ef_lookup(ef_table_sigmoid, ef_sat16((int32_t)ak[3 * hidden] + uk[3 * hidden]));
        /* |c| <= 2^30: f c / 2^15 and i g are each at most 32767 * 32768 */
        int32_t kept = f * (c[k] >> 15) + ((f * (c[k] & 0x7fff) + ((int32_t)1 << 14)) >> 15);
        c[k] = ef_clip(kept + ((i * g) >> up), -limit, limit);
        int32_t v = ef_sat16((c[k] + half) >> to_gate); /* Q3.12 */
        h[k] = ef_narrow(o * ef_lookup(ef_table_tanh, v), down, lstm->state_bits);
    }
}

/* LSTM cell; see edgeflow/program/nodes/lstm.py. */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_lstm_step(const ef_lstm *lstm, const int16_t *x, int16_t *h, int16_t *c, int16_t *scratch) {
    const unsigned hidden = lstm->hidden;
    int16_t *a = scratch;              /* input part of i, f, g, o: Q3.12 */
    int16_t *u = scratch + 4 * hidden; /* recurrent part */
    lstm->input->matvec(lstm->input, x, a);
    lstm->recurrent->matvec(lstm->recurrent, h, u);

    const unsigned fraction = lstm->cell_fraction;
    const int32_t half_c = (int32_t)1 << (fraction - 1u);
    const unsigned down = 31u - lstm->state_bits; /* Q30 to the state */
    for (unsigned k = 0; k < hidden; k++) {
        const int16_t *ak = a + k, *uk = u + k;
        int32_t i = ef_lookup(ef_table_sigmoid, ef_sat16((int32_t)ak[0] + uk[0]));
        int32_t f = ef_lookup(ef_table_sigmoid, ef_sat16((int32_t)ak[hidden] + uk[hidden]));
        int32_t g = ef_lookup(ef_table_tanh, ef_sat16((int32_t)ak[2 * hidden] + uk[2 * hidden]));
        int32_t o = ef_lookup(ef_table_sigmoid, ef_sat16((int32_t)ak[3 * hidden] + uk[3 * hidden]));
        /* f c and i g are each at most 32767 * 32768, their sum and 2^14 below 2^31 */
        int32_t next =
            ef_sat16((f * c[k] + ((i * g) >> (15u - fraction)) + ((int32_t)1 << 14)) >> 15);
        c[k] = (int16_t)next;
        int32_t v = ef_sat16((next * ((int32_t)1 << 12) + half_c) >> fraction); /* Q3.12 */
        h[k] = ef_narrow(o * ef_lookup(ef_table_tanh, v), down, lstm->state_bits);
    }
}

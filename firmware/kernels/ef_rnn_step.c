/* Simple recurrent cell; see edgeflow/program/nodes/rnn.py. */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_rnn_step(const ef_rnn *rnn, const int16_t *x, int16_t *h, int16_t *scratch) {
    const unsigned hidden = rnn->hidden;
    int16_t *a = scratch;
    int16_t *u = scratch + hidden;
    rnn->input->matvec(rnn->input, x, a);
    rnn->recurrent->matvec(rnn->recurrent, h, u);
    for (unsigned i = 0; i < hidden; i++) {
        int32_t v = ef_sat16((int32_t)a[i] + u[i]);
        int32_t f = rnn->relu ? (v > 0 ? v : 0) : ef_lookup(ef_table_tanh, v);
        /* doubled, so that a shift of 0 needs no case of its own */
        h[i] = ef_narrow(2 * f, rnn->state_shift + 1u, rnn->state_bits);
    }
}

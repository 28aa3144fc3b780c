/* Layer of integrate-and-fire neurons; see edgeflow/program/nodes/lif.py. */
#include "ef_kernels.h"
#include "ef_math.h"

/* round(v * factor / 2^15): the product is at most 2^30 */
static inline int32_t decay(int32_t v, int32_t factor) {
    return (v * factor + (1 << 14)) >> 15;
}

/* Inlined twice, with a constant `synapse`. */
static inline void neurons(const ef_lif *lif, const int16_t *current, const int16_t *fed_back,
                           int16_t *j, int16_t *u, int16_t *s, int synapse) {
    const int16_t *alpha = lif->alpha, *beta = lif->beta, *thresholds = lif->threshold;
    const unsigned reset = lif->reset;
    for (unsigned i = 0, hidden = lif->hidden; i < hidden; i++) {
        /* a sum of a few int16 values: far below 2^31 */
        int32_t in = current[i];
        if (fed_back)
            in += fed_back[i];
        if (synapse)
            in = j[i] = (int16_t)ef_sat16(decay(j[i], alpha[i]) + in);
        const int32_t threshold = thresholds[i];
        int32_t v = decay(u[i], beta[i]);
        if (s[i]) {
            if (reset == EF_LIF_SUBTRACT)
                in -= threshold;
            else
                v = 0;
        }
        v = ef_sat16(v + in);
        if (s[i] && reset == EF_LIF_REFRACTORY)
            v = 0;
        u[i] = (int16_t)v;
        s[i] = v > threshold;
    }
}

void ef_lif_step(const ef_lif *lif, const int16_t *x, int16_t *j, int16_t *u, int16_t *s,
                 int16_t *scratch) {
    int16_t *current = scratch, *fed_back = 0;
    lif->input->matvec(lif->input, x, current);
    if (lif->recurrent) {
        fed_back = scratch + lif->hidden;
        lif->recurrent->matvec(lif->recurrent, s, fed_back);
    }
    if (j)
        neurons(lif, current, fed_back, j, u, s, 1);
    else
        neurons(lif, current, fed_back, j, u, s, 0);
}

/* Layer of integrate-and-fire neurons; see edgeflow/program/nodes/lif.py. */
#include "ef_lif.h"

/* Inlined twice, with a constant `synapse`. */
static inline void neurons(const ef_lif *lif, const int16_t *current, const int16_t *fed_back,
                           int16_t *j, int16_t *u, int16_t *s, int synapse) {
    for (unsigned i = 0, hidden = lif->hidden; i < hidden; i++) {
        int32_t in = current[i];
        if (fed_back)
            in += fed_back[i];
        if (synapse)
            in = j[i] = (int16_t)ef_sat16(ef_lif_decay(j[i], lif->alpha[i], in));
        ef_lif_charge(lif, i, in, u, s);
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

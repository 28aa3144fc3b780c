/* One integrate-and-fire neuron; see edgeflow/program/nodes/lif.py. */
#ifndef EF_LIF_H
#define EF_LIF_H

#include "ef_kernels.h"
#include "ef_math.h"

/* round(v * factor / 2^15) + in: the product is at most 2^30, in a sum of a few int16 values */
static inline int32_t ef_lif_decay(int32_t v, int32_t factor, int32_t in) {
    return ((v * factor + ((int32_t)1 << 14)) >> 15) + in;
}

/* Steps neuron i, given its current. */
static inline void ef_lif_charge(const ef_lif *lif, unsigned i, int32_t in, int16_t *u,
                                 int16_t *s) {
    const int32_t threshold = lif->threshold[i];
    int32_t v = ef_sat16(in);
    /* the reset is looked at where there was a spike only */
    if (!s[i])
        v = ef_sat16(ef_lif_decay(u[i], lif->beta[i], in));
    else if (lif->reset == EF_LIF_SUBTRACT)
        v = ef_sat16(ef_lif_decay(u[i], lif->beta[i], in) - threshold);
    else if (lif->reset == EF_LIF_REFRACTORY)
        v = 0;
    u[i] = (int16_t)v;
    s[i] = v > threshold;
}

#endif

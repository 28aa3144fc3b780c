/* ef_lif_step for the Arm DSP extension: two neurons at a time, each array read as words. */
#include "ef_lif.h"
#include "ef_word.h"

/* v * factor + 1/2, in units of 2^-15: the product is at most 2^30 */
static inline int32_t scale(int32_t v, int32_t factor) {
    return v * factor + (1 << 14);
}

/* 1 in each half where v > threshold: the sign of half of threshold - v, which fits 16 bits */
static inline uint32_t above(uint32_t v, uint32_t threshold) {
    uint32_t half;
    __asm("shsub16 %0, %1, %2" : "=r"(half) : "r"(threshold), "r"(v));
    return half >> 15 & 0x00010001u;
}

/* Membranes and spikes; the current is i and, unless it is null, fed_back. */
static inline void charge(const ef_lif *lif, const int16_t *i, const int16_t *fed_back, int16_t *u,
                          int16_t *s, unsigned pairs) {
    const int16_t *beta = lif->beta, *thresholds = lif->threshold;
    for (const int16_t *end = u + 2 * pairs; u != end; u += 2) {
        const uint32_t old = ef_load2(u), factor = ef_load2(beta), current = ef_load2(i);
        int32_t a = scale(ef_low(old), ef_low(factor)), b = scale(ef_high(old), ef_high(factor));
        /* sums of a few int16 values: far below 2^31 */
        int32_t first = ef_low(current), second = ef_high(current);
        beta += 2;
        i += 2;
        if (fed_back) {
            const uint32_t more = ef_load2(fed_back);
            fed_back += 2;
            first += ef_low(more);
            second += ef_high(more);
        }
        const uint32_t spikes = ef_load2(s), threshold = ef_load2(thresholds);
        thresholds += 2;
        if (spikes) {
            const unsigned reset = lif->reset;
            if (reset == EF_LIF_SUBTRACT) {
                first -= ef_low(spikes) * ef_low(threshold);
                second -= ef_high(spikes) * ef_high(threshold);
            } else {
                const int32_t kept = reset == EF_LIF_ZERO;
                if (ef_low(spikes)) {
                    a = 0;
                    first *= kept;
                }
                if (ef_high(spikes)) {
                    b = 0;
                    second *= kept;
                }
            }
        }
        const uint32_t v = ef_pack(ef_sat16(first + (a >> 15)), ef_sat16(second + (b >> 15)));
        ef_store2(u, v);
        ef_store2(s, above(v, threshold));
        s += 2;
    }
}

/* j = sat16(decay(j, alpha) + current + fed_back), the latter unless it is null */
static inline void filter(const int16_t *alpha, const int16_t *i, const int16_t *fed_back,
                          int16_t *j, unsigned pairs) {
    for (const int16_t *end = j + 2 * pairs; j != end; j += 2, i += 2, alpha += 2) {
        const uint32_t current = ef_load2(i), old = ef_load2(j), factor = ef_load2(alpha);
        int32_t first = ef_low(current), second = ef_high(current);
        if (fed_back) {
            const uint32_t more = ef_load2(fed_back);
            fed_back += 2;
            first += ef_low(more);
            second += ef_high(more);
        }
        first += scale(ef_low(old), ef_low(factor)) >> 15;
        second += scale(ef_high(old), ef_high(factor)) >> 15;
        ef_store2(j, ef_pack(ef_sat16(first), ef_sat16(second)));
    }
}

void ef_lif_step(const ef_lif *lif, const int16_t *x, int16_t *j, int16_t *u, int16_t *s,
                 int16_t *scratch) {
    const unsigned hidden = lif->hidden, pairs = hidden / 2, last = hidden - 1;
    int16_t *current = scratch, *fed_back = 0;
    lif->input->matvec(lif->input, x, current);
    if (lif->recurrent) {
        fed_back = scratch + hidden;
        lif->recurrent->matvec(lif->recurrent, s, fed_back);
    }
    int32_t in = current[last];
    if (fed_back)
        in += fed_back[last];
    if (j) {
        filter(lif->alpha, current, fed_back, j, pairs);
        if (hidden % 2)
            j[last] = (int16_t)ef_sat16(ef_lif_decay(j[last], lif->alpha[last], in));
        in = j[last];
        current = j;
        fed_back = 0;
    }
    if (fed_back)
        charge(lif, current, fed_back, u, s, pairs);
    else
        charge(lif, current, 0, u, s, pairs);
    if (hidden % 2)
        ef_lif_charge(lif, last, in, u, s);
}

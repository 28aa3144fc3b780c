/* LTC cell with constant time steps; see edgeflow/program/nodes/ltc.py. */
#include "ef_kernels.h"
#include "ef_math.h"

#include <string.h>

/* Adds what `synapses` into a unit conduct; the sums are proven to stay below 2^30. */
static void conduct(const EF_FLASH int16_t *slope, const EF_FLASH int16_t *offset,
                    const EF_FLASH int16_t *weight, const EF_FLASH int16_t *reversal,
                    const int16_t *x, unsigned size, unsigned shift, int32_t *numerator,
                    int32_t *denominator) {
    const int32_t half = (int32_t)1 << (shift - 1u);
    int32_t n = *numerator;
    int32_t d = *denominator;
    for (unsigned i = 0; i < size; i++) {
        if (!(weight[i] | reversal[i]))
            continue; /* no synapse */
        /* |x| <= 32767: the product and its rounding fit; offsets are in Q5.10 */
        int32_t value = (((int32_t)x[i] * slope[i] + half) >> shift) + 4 * (int32_t)offset[i];
        int32_t s = ef_lookup(ef_table_sigmoid, ef_sat16(value));
        n += s * reversal[i];
        d += s * weight[i];
    }
    *numerator = n;
    *denominator = d;
}

/* n / d in Q0.15 for d in [2^16, 2^30), |n| < 2^30 */
static int32_t quotient(int32_t n, int32_t d) {
    n = ef_clip(n, -d, d);
    while (d < (int32_t)1 << 29) {
        d *= 2;
        n *= 2;
    }
    int32_t m = (d >> 14) - ((int32_t)1 << 15);
    const EF_FLASH int16_t *node = ef_table_reciprocal + (m >> 7);
    int32_t reciprocal = node[0] + ((((int32_t)node[1] - node[0]) * (m & 127) + 64) >> 7);
    int32_t product = ((n + ((int32_t)1 << 14)) >> 15) * reciprocal; /* at most 2^15 * 32767 */
    return ef_clip((product + ((int32_t)1 << 13)) >> 14, -32767, 32767);
}

void ef_ltc_step(const ef_ltc *ltc, const int16_t *x, int16_t *v, int16_t *scratch,
                 int32_t *scratch32) {
    const unsigned inputs = ltc->inputs;
    const unsigned hidden = ltc->hidden;
    int32_t *numerator = scratch32;
    int32_t *denominator = scratch32 + hidden;
    for (unsigned j = 0; j < hidden; j++) {
        const unsigned row = j * inputs;
        numerator[j] = ltc->leak[j];
        denominator[j] = ltc->rest[j];
        conduct(ltc->sensory_slope + row, ltc->sensory_offset + row, ltc->sensory_weight + row,
                ltc->sensory_reversal + row, x, inputs, ltc->sensory_shift, &numerator[j],
                &denominator[j]);
    }
    for (unsigned k = 0; k < ltc->unfolds; k++) {
        for (unsigned j = 0; j < hidden; j++) {
            const unsigned row = j * hidden;
            int32_t n = numerator[j] + (int32_t)ltc->capacity[j] * v[j];
            int32_t d = denominator[j];
            conduct(ltc->slope + row, ltc->offset + row, ltc->weight + row, ltc->reversal + row, v,
                    hidden, ltc->shift, &n, &d);
            scratch[j] = (int16_t)quotient(n, d);
        }
        memcpy(v, scratch, hidden * sizeof *v);
    }
}

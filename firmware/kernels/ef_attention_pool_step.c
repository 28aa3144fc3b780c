/* Mean weighted by a softmax of scores; see edgeflow/program/nodes/attention_pool.py. */
#include "ef_kernels.h"
#include "ef_math.h"

#define TOTAL_BITS 30

/* weight / total in Q0.31; total is at least 2^21 and below 2^31 */
static int32_t part_of(int32_t weight, int32_t total) {
    const unsigned doublings = ef_leading_zeros((uint32_t)total) - 1u;
    const int32_t m = (int32_t)(((uint32_t)total << doublings) >> 15) - 32768;
    const EF_FLASH int16_t *node = ef_table_reciprocal + (m >> 7);
    const int32_t reciprocal = node[0] + ((((int32_t)node[1] - node[0]) * (m & 127) + 64) >> 7);
    const int64_t part = ((int64_t)weight * reciprocal) >> (14u - doublings);
    return part > INT32_MAX ? INT32_MAX : (int32_t)part;
}

void ef_attention_pool_step(const ef_attention_pool *cell, const int16_t *x, int32_t *mean,
                            int32_t *total, int32_t *top, int16_t *y) {
    const unsigned size = cell->size, shift = cell->shift, out = cell->out_shift;
    const int32_t exponent =
        ((int32_t)x[size] * cell->multiplier + (((int32_t)1 << shift) >> 1)) >> shift;
    const int32_t own = -((-exponent) >> 12);
    const int32_t power = (int32_t)ef_half_power((uint32_t)(own * 4096 - exponent));
    const int first = *total == 0;
    const int32_t most = first || own > *top ? own : *top;
    const int32_t weight = (power * 128) >> ef_clip(most - own, 0, 31);
    const int32_t sum = first ? weight : (*total >> ef_clip(most - *top, 0, 31)) + weight;
    const int32_t rate = part_of(weight, sum);
    for (unsigned i = 0; i < size; i++) {
        const int32_t h = x[i] * 32768;
        const int32_t apart = h - mean[i]; /* below 2^31, as both are within 2^30 */
        if (first)
            mean[i] = h;
        else
            mean[i] += (int32_t)(((int64_t)rate * apart + ((int64_t)1 << 30)) >> 31);
        y[i] = ef_narrow(mean[i], out, cell->state_bits);
    }
    const int full = sum >= (int32_t)1 << TOTAL_BITS;
    *total = sum >> full;
    *top = most + full;
}

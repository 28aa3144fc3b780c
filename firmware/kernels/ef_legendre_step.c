/* One step of a Legendre memory; see edgeflow/program/nodes/lmu.py. */
#include <string.h>

#include "ef_kernels.h"
#include "ef_math.h"

/* sum + a[i] b[i]; the caller has proven that no partial sum leaves 32 bits */
static inline int32_t dot(const EF_FLASH int16_t *a, const int16_t *b, unsigned size, int32_t sum) {
    const EF_FLASH int16_t *end = a + size;
#if defined(__ARM_FEATURE_DSP)
    const EF_FLASH int16_t *pairs = a + (size & ~1u);
    while (a != pairs) {
        uint32_t pair_a, pair_b;
        memcpy(&pair_a, a, sizeof pair_a);
        memcpy(&pair_b, b, sizeof pair_b);
        sum = ef_dual_mac(pair_a, pair_b, sum);
        a += 2;
        b += 2;
    }
#endif
    while (a != end)
        sum += (int32_t)*a++ * *b++;
    return sum;
}

void ef_legendre_step(const ef_legendre *memory, int32_t u, int32_t *m, int16_t *scratch) {
    const unsigned order = memory->order, fraction = memory->fraction;
    const int32_t half = (int32_t)1 << (fraction - 1u);
    const int32_t limit = (int32_t)32767 << fraction;
    const EF_FLASH int16_t *row = memory->transition;
    for (unsigned i = 0; i < order; i++)
        scratch[i] = (int16_t)((m[i] + half) >> fraction); /* within +-32767, as m is */
    for (unsigned i = 0; i < order; i++, row += order) {
        const unsigned shift = (unsigned)memory->shift[i]; /* 1..30 */
        const int32_t sum = dot(row, scratch, order, memory->drive[i] * u);
        /* the sum's half is rounded up in two steps; both terms of m are below 2^30 */
        m[i] = ef_clip(m[i] + (((sum >> (shift - 1u)) + 1) >> 1), -limit, limit);
    }
}

/* One step of a Legendre memory, two rows at a time. */
#include "ef_kernels.h"
#include "ef_math_dsp.h"

/* m + round(sum / 2^shift), shift 1..30: the half is rounded up in two steps; both terms are below
   2^30. */
static inline int32_t moved(int32_t m, int32_t sum, unsigned shift, int32_t limit) {
    return ef_clip(m + (((sum >> (shift - 1u)) + 1) >> 1), -limit, limit);
}

void ef_legendre_step(const ef_legendre *memory, int32_t u, int32_t *m, int16_t *scratch) {
    const unsigned order = memory->order, fraction = memory->fraction;
    const int32_t half = (int32_t)1 << (fraction - 1u);
    const int32_t limit = (int32_t)32767 << fraction;
    const int16_t *drive = memory->drive, *shift = memory->shift;
    const int16_t *first = memory->transition;
    for (unsigned i = 0; i < order; i++)
        scratch[i] = (int16_t)((m[i] + half) >> fraction); /* within +-32767, as m is */
    unsigned left = order;
    for (; left > 1; left -= 2, m += 2, drive += 2, shift += 2) {
        const int16_t *second = first + order, *high = scratch;
        int32_t sum0 = drive[0] * u, sum1 = drive[1] * u;
        for (const int16_t *end = high + (order & ~1u); high < end; high += 2) {
            const uint32_t pair = ef_load2(high);
            sum0 = ef_smlad(ef_load2(first), pair, sum0);
            sum1 = ef_smlad(ef_load2(second), pair, sum1);
            first += 2;
            second += 2;
        }
        if (order & 1u) {
            sum0 += *first * *high;
            sum1 += *second++ * *high;
        }
        m[0] = moved(m[0], sum0, (unsigned)shift[0], limit);
        m[1] = moved(m[1], sum1, (unsigned)shift[1], limit);
        first = second;
    }
    if (left) {
        int32_t sum = drive[0] * u;
        for (unsigned i = 0; i < order; i++)
            sum += first[i] * scratch[i];
        m[0] = moved(m[0], sum, (unsigned)shift[0], limit);
    }
}

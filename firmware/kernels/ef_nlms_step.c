/* Forecasts that are corrected by what came; see edgeflow/program/nodes/nlms.py. */
#include <string.h>

#include "ef_kernels.h"
#include "ef_math.h"

#define MOST_FEATURE 2047
#define ONE 1024
#define MOST_MOVE ((int32_t)1 << 17)
#define MOST_TICKS 255
#define ERROR_FRACTION 8
#define PACE 6

/* Copies size values, maybe to a place before them: small C libraries do it byte by byte. */
static inline void copy(int16_t *to, const int16_t *from, unsigned size) {
    for (; size >= 8; size -= 8, to += 8, from += 8) {
        int32_t part[4];
        memcpy(part, from, sizeof part);
        memcpy(to, part, sizeof part);
    }
    for (; size > 0; size--)
        *to++ = *from++;
}

static void make_features(const ef_nlms *cell, const int16_t *h, const int16_t *past,
                          const int16_t *z, int16_t *f) {
    const unsigned series = cell->series, step = cell->every * series;
    for (unsigned i = 0; i < cell->read; i++)
        *f++ = (int16_t)ef_clip(h[i] >> cell->down, -MOST_FEATURE, MOST_FEATURE);
    for (unsigned k = 0; k < cell->lags; k++, past += step)
        for (unsigned i = 0; i < series; i++) {
            const int32_t apart = ((int32_t)past[i] - z[i]) >> cell->lag_shift;
            *f++ = (int16_t)ef_clip(apart, -MOST_FEATURE, MOST_FEATURE);
        }
    *f = ONE;
}

#if defined(__ARM_FEATURE_DSP)
/* sum + the upper half of a times a half of b: compilers shift instead */
static inline int32_t top_mac_bottom(int32_t a, int32_t b, int32_t sum) {
    int32_t result;
    __asm("smlatb %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}

static inline int32_t top_mac_top(int32_t a, int32_t b, int32_t sum) {
    int32_t result;
    __asm("smlatt %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}
#endif

/* V f of four rows, which share what is loaded of f. */
static void products(const int32_t *a, const int16_t *f, unsigned features, int32_t *sums) {
    const int32_t *b = a + features, *c = b + features, *d = c + features;
    int32_t s = 0, t = 0, u = 0, v = 0;
#if defined(__ARM_FEATURE_DSP)
#define FOUR(sum, row)                                                                             \
    sum = top_mac_bottom(row[0], pairs[0], sum);                                                   \
    sum = top_mac_top(row[1], pairs[0], sum);                                                      \
    sum = top_mac_bottom(row[2], pairs[1], sum);                                                   \
    sum = top_mac_top(row[3], pairs[1], sum);                                                      \
    row += 4;
    for (const int16_t *const end = f + (features & ~3u); f != end; f += 4) {
        int32_t pairs[2];
        memcpy(pairs, f, sizeof pairs);
        FOUR(s, a) FOUR(t, b) FOUR(u, c) FOUR(v, d)
    }
#undef FOUR
    features &= 3u;
#endif
    for (; features > 0; features--) {
        const int32_t x = *f++;
        s += (*a++ >> 16) * x;
        t += (*b++ >> 16) * x;
        u += (*c++ >> 16) * x;
        v += (*d++ >> 16) * x;
    }
    sums[0] = s;
    sums[1] = t;
    sums[2] = u;
    sums[3] = v;
}

static void forecast(const ef_nlms *cell, const int16_t *f, const int16_t *p,
                     const int32_t *masters, int16_t *q) {
    const unsigned features = cell->features, n = (unsigned)cell->series * cell->horizons;
    if (n < 4) {
        for (unsigned i = 0; i < n; i++) {
            int32_t sum = 0;
            for (unsigned j = 0; j < features; j++)
                sum += (*masters++ >> 16) * f[j];
            q[i] = (int16_t)ef_sat16((int32_t)p[i] + ef_requantize(sum, cell->multiplier, 1));
        }
        return;
    }
    /* the last rows that are no whole group are made with some before them once more */
    for (unsigned i = 0; i < n; i += 4) {
        const unsigned first = i + 4 <= n ? i : n - 4;
        int32_t sums[4];
        products(masters + (size_t)first * features, f, features, sums);
        for (unsigned k = 0; k < 4; k++)
            q[first + k] = (int16_t)ef_sat16((int32_t)p[first + k] +
                                             ef_requantize(sums[k], cell->multiplier, 1));
    }
}

/* 2^44 / norm in Q0.15 after doublings that bring norm to [2^29, 2^30) */
static int32_t reciprocal(int32_t norm, unsigned *doublings) {
    *doublings = ef_leading_zeros((uint32_t)norm) - 2u;
    const int32_t m = ((norm << *doublings) >> 14) - ((int32_t)1 << 15);
    const EF_FLASH int16_t *node = ef_table_reciprocal + (m >> 7);
    return node[0] + ((((int32_t)node[1] - node[0]) * (m & 127) + 64) >> 7);
}

/* Adds move f to a row, within +-limit. */
static void move_row(int32_t *row, const int16_t *f, unsigned features, int32_t move,
                     int32_t limit) {
#define NEXT                                                                                       \
    {                                                                                              \
        const int32_t moved = *row + move * *f++;                                                  \
        *row++ = (uint32_t)moved + (uint32_t)limit <= 2u * (uint32_t)limit ? moved                 \
                 : moved < 0                                               ? -limit                \
                                                                           : limit;                \
    }
    for (const int16_t *const end = f + (features & ~3u); f != end;) {
        NEXT NEXT NEXT NEXT
    }
    for (const int16_t *const end = f + (features & 3u); f != end;)
        NEXT
#undef NEXT
}

static int32_t after(int32_t running, int32_t total) {
    return running + ((total * (1 << ERROR_FRACTION) - running) >> PACE);
}

/* Horizon k learns of what was kept `a_tick` values a tick. */
static void learn(const ef_nlms *cell, unsigned k, const int16_t *kept, unsigned a_tick,
                  int32_t *errors, int32_t *masters) {
    const unsigned series = cell->series, horizons = cell->horizons, features = cell->features;
    const int16_t *f = kept + (horizons - 1 - k) * a_tick, *z = f + features;
    const int16_t *last = kept + horizons * a_tick + features;
    const int16_t *p = z + series + k * series, *q = p + series * horizons;
    const int32_t limit = (int32_t)cell->limit * 65536;
    int32_t norm = cell->epsilon, trained = 0, learned = 0;
    unsigned j = 0;
#if defined(__ARM_FEATURE_DSP)
    for (; j < (features & ~1u); j += 2) {
        uint32_t pair;
        memcpy(&pair, f + j, sizeof pair);
        norm = ef_dual_mac(pair, pair, norm);
    }
#endif
    for (; j < features; j++)
        norm += (int32_t)f[j] * f[j];
    unsigned doublings;
    const int32_t inverse = reciprocal(norm, &doublings);
    const unsigned down = cell->shift - doublings;
    int32_t *row = masters + (size_t)k * series * features;
    for (unsigned i = 0; i < series; i++, row += features) {
        const unsigned place = k * series + i;
        const int32_t apart = (int32_t)last[i] - z[i];
        const int32_t change = ef_requantize(apart, cell->unit[place], cell->unit_shift);
        const int32_t came = ef_sat16(change + cell->zero[place]);
        const int32_t off = came - p[i], error = came - q[i];
        trained += off < 0 ? -off : off;
        learned += error < 0 ? -error : error;
        const int32_t scaled = (ef_sat16(error) * inverse + (1 << 14)) >> 15;
        const int32_t move = (scaled * cell->rate + ((int32_t)1 << (down - 1u))) >> down;
        move_row(row, f, features, ef_clip(move, -MOST_MOVE, MOST_MOVE), limit);
    }
    errors[k] = after(errors[k], trained);
    errors[horizons + k] = after(errors[horizons + k], learned);
}

void ef_nlms_step(const ef_nlms *cell, const int16_t *x, int16_t *past, int16_t *kept,
                  int16_t *phase, int16_t *ticks, int32_t *errors, int32_t *masters, int16_t *y,
                  int16_t *scratch) {
    const unsigned series = cell->series, horizons = cell->horizons, features = cell->features;
    const unsigned n = series * horizons, a_tick = features + series + 2 * n;
    const unsigned before = (unsigned)cell->lags * cell->every * series;
    const int16_t *h = x + n, *z = h + cell->read;
    int16_t *f = scratch, *q = f + features + series + n;
    make_features(cell, h, past, z, f);
    copy(f + features, z, series);
    copy(f + features + series, x, n);
    forecast(cell, f, x, masters, q);
    for (unsigned k = 0; k < horizons; k++) {
        const int trusted = errors[horizons + k] <= errors[k];
        copy(y + k * series, (trusted ? q : x) + k * series, series);
    }
    copy(past, past + series, before - series);
    copy(past + before - series, z, series);
    if (*phase == 0) {
        copy(kept, kept + a_tick, horizons * a_tick);
        copy(kept + horizons * a_tick, f, a_tick);
        if (*ticks < MOST_TICKS)
            (*ticks)++;
    }
    for (unsigned k = (unsigned)*phase; k < horizons; k += cell->stride)
        if (*ticks >= (int)(k + 2u + cell->wait))
            learn(cell, k, kept, a_tick, errors, masters);
    *phase = (int16_t)(*phase == (int)cell->stride - 1 ? 0 : *phase + 1);
}

void ef_nlms_restore(const ef_nlms *cell, int32_t *errors, int32_t *masters) {
    const int32_t limit = (int32_t)cell->limit * 65536, most = (int32_t)cell->series << 24;
    const size_t weights = (size_t)cell->series * cell->horizons * cell->features;
    for (size_t i = 0; i < weights; i++)
        masters[i] = ef_clip(masters[i], -limit, limit);
    for (unsigned k = 0; k < 2u * cell->horizons; k++)
        errors[k] = ef_clip(errors[k], 0, most);
}

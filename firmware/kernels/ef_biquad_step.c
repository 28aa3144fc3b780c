/* Second-order sections in direct form I; see edgeflow/program/nodes/biquad.py. */
#include <string.h>

#include "ef_kernels.h"
#include "ef_math.h"

/* value * 2^-28, half rounds up; what it gives is proven to fit */
static int32_t rounded(int64_t value) {
    return (int32_t)((value + ((int64_t)1 << 27)) >> 28);
}

/* The past of a signal that has always been v. */
static void start(const ef_biquad *cell, int32_t v, int32_t *past) {
    const unsigned count = cell->count;
    past[0] = past[count] = v;
    for (unsigned k = 0; k < cell->sections; k++) {
        past += 2 * count;
        past[0] = past[count] = rounded((int64_t)cell->steady[k] * v);
    }
}

/* past: two samples of x, then of each section, `count` values apart */
static int32_t filtered(const ef_biquad *cell, int32_t v, int32_t *past) {
    const unsigned count = cell->count;
    const EF_FLASH int32_t *c = cell->coefficients;
    for (unsigned k = 0; k < cell->sections; k++, past += 2 * count, c += 5) {
        int64_t sum = (int64_t)c[0] * v + (int64_t)c[1] * past[0] + (int64_t)c[2] * past[count];
        sum -= (int64_t)c[3] * past[2 * count] + (int64_t)c[4] * past[3 * count];
        past[count] = past[0];
        past[0] = v;
        v = rounded(sum);
    }
    past[count] = past[0];
    past[0] = v;
    return v;
}

void ef_biquad_step(const ef_biquad *cell, const int16_t *x, int32_t *past, int16_t *started,
                    int16_t *y) {
    const unsigned fraction = cell->fraction;
    memcpy(y, x, cell->size * sizeof *y);
    x += cell->first;
    y += cell->first;
    for (unsigned i = 0; i < cell->count; i++) {
        const int32_t v = x[i] * ((int32_t)1 << fraction);
        if (!*started)
            start(cell, v, past + i);
        y[i] = ef_narrow(filtered(cell, v, past + i), fraction, cell->bits);
    }
    *started = 1;
}

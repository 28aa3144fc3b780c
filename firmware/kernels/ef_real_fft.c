/* Fourier transform of real values; see edgeflow/program/nodes/log_mel.py. */
#include "ef_kernels.h"

/* (a * b) >> 16, b of 16 bits, without a product of 64 */
static int32_t half_product(int32_t a, int32_t b) {
    return (a >> 16) * b + (((a & 0xffff) * b) >> 16);
}

/* half of (z[0] + j z[1]) (w[0] - j w[1]) */
static void turn(const int32_t *z, const EF_FLASH int16_t *w, int32_t *y) {
    y[0] = half_product(z[0], w[0]) + half_product(z[1], w[1]);
    y[1] = half_product(z[1], w[0]) - half_product(z[0], w[1]);
}

/* four values, `part` complex ones apart, become those of a transform of four */
static void join_four(int32_t *z, unsigned part, const int32_t *a, const int32_t *b,
                      const int32_t *c, const int32_t *d) {
    int32_t *z0 = z, *z1 = z0 + 2 * part, *z2 = z1 + 2 * part, *z3 = z2 + 2 * part;
    const int32_t sum = a[0] + c[0], sum_im = a[1] + c[1];
    const int32_t apart = a[0] - c[0], apart_im = a[1] - c[1];
    const int32_t odd = b[0] + d[0], odd_im = b[1] + d[1];
    const int32_t odd_apart = b[0] - d[0], odd_apart_im = b[1] - d[1];
    z0[0] = sum + odd;
    z0[1] = sum_im + odd_im;
    z1[0] = apart + odd_apart_im;
    z1[1] = apart_im - odd_apart;
    z2[0] = sum - odd;
    z2[1] = sum_im - odd_im;
    z3[0] = apart - odd_apart_im;
    z3[1] = apart_im + odd_apart;
}

/* All passes over `points` complex values; returns the factors that they leave. */
static const EF_FLASH int16_t *transform(int32_t *z, unsigned points,
                                         const EF_FLASH int16_t *twiddle) {
    unsigned part = 1;
    for (unsigned size = points; size > 1; size >>= 2)
        part = size; /* in the end 2 or 4, the size of the first pass */
    if (part == 2) {
        for (int32_t *v = z; v < z + 2 * points; v += 4)
            for (unsigned i = 0; i < 2; i++) {
                const int32_t a = v[i], b = v[i + 2];
                v[i] = a + b;
                v[i + 2] = a - b;
            }
    } else {
        for (int32_t *v = z; v < z + 2 * points; v += 8) {
            const int32_t old[8] = {v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]};
            join_four(v, 1, old, old + 2, old + 4, old + 6);
        }
    }
    for (; part < points; twiddle += 6 * part, part *= 4) {
        for (int32_t *block = z; block < z + 2 * points; block += 8 * part) {
            const EF_FLASH int16_t *w = twiddle;
            for (unsigned j = 0; j < part; j++, w += 6) {
                int32_t *v = block + 2 * j, a[2] = {v[0] >> 1, v[1] >> 1}, b[2], c[2], d[2];
                turn(v + 2 * part, w, b);
                turn(v + 4 * part, w + 2, c);
                turn(v + 6 * part, w + 4, d);
                join_four(v, part, a, b, c, d);
            }
        }
    }
    return twiddle;
}

static uint32_t below_sign(int32_t value) {
    return (uint32_t)(value < 0 ? ~value : value);
}

uint32_t ef_real_fft(int32_t *z, unsigned size, const EF_FLASH int16_t *twiddle) {
    const unsigned half = size / 2;
    const EF_FLASH int16_t *w = transform(z, half, twiddle);
    uint32_t bits = below_sign(z[half]) | below_sign(z[half + 1]);
    for (unsigned k = 1; k < half / 2; k++, w += 2) {
        int32_t *low = z + 2 * k, *high = z + 2 * (half - k), odd[2];
        const int32_t even = (low[0] + high[0]) >> 1, even_im = (low[1] - high[1]) >> 1;
        const int32_t apart[2] = {low[1] + high[1], high[0] - low[0]};
        turn(apart, w, odd);
        low[0] = even + odd[0];
        low[1] = even_im + odd[1];
        high[0] = even - odd[0];
        high[1] = even_im - odd[1];
        bits |= below_sign(low[0]) | below_sign(low[1]);
        bits |= below_sign(high[0]) | below_sign(high[1]);
    }
    return bits;
}

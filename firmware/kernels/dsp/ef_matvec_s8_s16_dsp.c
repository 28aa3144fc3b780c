/*
 * Matrix-vector product for the Arm DSP extension (Armv7E-M, Armv8-M with DSP).
 *
 * Weights come in tiles of 4 rows x 4 columns, one word a row, bytes ordered c0 c2 c1 c3, so that
 * SXTB16 gives the halfword pairs (c0, c1) and, rotated by 8, (c2, c3) that SMLAD multiplies with
 * pairs of x. Rows and columns are padded with zeros to multiples of 4.
 */
#include "ef_kernels.h"
#include "ef_math.h"

#include <string.h>

/* Two SMLAD on one word of weights; acc += w0 x0 + w1 x1 + w2 x2 + w3 x3 */
static inline int32_t dot4(int32_t acc, uint32_t weights, uint32_t x01, uint32_t x23) {
    uint32_t low, high;
    __asm("sxtb16 %0, %1" : "=r"(low) : "r"(weights));
    __asm("sxtb16 %0, %1, ror #8" : "=r"(high) : "r"(weights));
    __asm("smlad %0, %1, %2, %0" : "+r"(acc) : "r"(low), "r"(x01));
    __asm("smlad %0, %1, %2, %0" : "+r"(acc) : "r"(high), "r"(x23));
    return acc;
}

void ef_matvec_s8_s16_dsp(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    const uint32_t *w = matrix->weights;
    const int32_t *bias = matrix->bias;
    const int32_t *multiplier = matrix->multiplier;
    const unsigned shift = matrix->shift;
    const unsigned tiles = (matrix->cols + 3u) / 4u;

    for (unsigned rows = matrix->rows; rows > 0;) {
        const unsigned n = rows < 4 ? rows : 4;
        int32_t acc[4] = {0, 0, 0, 0};
        const int16_t *pair = x;
        for (unsigned tile = tiles; tile > 0; tile--) {
            uint32_t x01, x23;
            memcpy(&x01, pair, 4);
            memcpy(&x23, pair + 2, 4);
            pair += 4;
            acc[0] = dot4(acc[0], w[0], x01, x23);
            acc[1] = dot4(acc[1], w[1], x01, x23);
            acc[2] = dot4(acc[2], w[2], x01, x23);
            acc[3] = dot4(acc[3], w[3], x01, x23);
            w += 4;
        }
        if (n == 4) {
            y[0] = ef_requantize(acc[0] + bias[0], multiplier[0], shift);
            y[1] = ef_requantize(acc[1] + bias[1], multiplier[1], shift);
            y[2] = ef_requantize(acc[2] + bias[2], multiplier[2], shift);
            y[3] = ef_requantize(acc[3] + bias[3], multiplier[3], shift);
        } else {
            for (unsigned i = 0; i < n; i++)
                y[i] = ef_requantize(acc[i] + bias[i], multiplier[i], shift);
        }
        y += n;
        bias += n;
        multiplier += n;
        rows -= n;
    }
}

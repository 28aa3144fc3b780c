/*
 * Matrix-vector product of a block-sparse matrix: columns of 8 rows that are zero are not stored.
 *
 * Weights: for each 8 rows
 *   2 bytes     number of columns stored, the low byte first
 *   9 bytes     for each: distance in x from the one before (from x itself), weights of the rows
 */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_matvec_sparse_8x1_s8_s16(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    const EF_FLASH int8_t *w = matrix->weights;
    for (unsigned row = 0; row < matrix->rows; row += 8) {
        int32_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
        const unsigned columns = (uint8_t)w[0] | (unsigned)(uint8_t)w[1] << 8;
        const EF_FLASH int8_t *end = w + 2 + 9 * columns;
        const int16_t *from = x;
        for (w += 2; w < end; w += 9) {
            from += (uint8_t)w[0];
            const int32_t value = *from;
            a += w[1] * value;
            b += w[2] * value;
            c += w[3] * value;
            d += w[4] * value;
            e += w[5] * value;
            f += w[6] * value;
            g += w[7] * value;
            h += w[8] * value;
        }
        const int32_t sums[8] = {a, b, c, d, e, f, g, h};
        for (unsigned i = 0; i < 8 && row + i < matrix->rows; i++)
            y[row + i] = ef_requantize(matrix->bias[row + i] + sums[i], matrix->multiplier[row + i],
                                       matrix->shift);
    }
}

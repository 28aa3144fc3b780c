/*
 * Matrix-vector product of a sparse matrix: weights that are zero are not stored.
 *
 * Weights: for each row
 *   2 bytes     number of weights stored, the low byte first
 *   2 bytes     for each: distance in x from the one before (from x itself), weight
 */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_matvec_sparse_1x1_s8_s16(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    const EF_FLASH int8_t *w = matrix->weights;
    for (unsigned row = 0; row < matrix->rows; row++) {
        const EF_FLASH int8_t *item = w + 2;
        w = item + 2 * ((uint8_t)w[0] | (unsigned)(uint8_t)w[1] << 8);
        const int16_t *from = x;
        int32_t sum = matrix->bias[row];
        for (; item != w; item += 2) {
            from += (uint8_t)item[0];
            sum += (int32_t)item[1] * *from;
        }
        y[row] = ef_requantize(sum, matrix->multiplier[row], matrix->shift);
    }
}

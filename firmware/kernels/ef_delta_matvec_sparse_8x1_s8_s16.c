/*
 * Delta matrix-vector product of a block-sparse matrix: a column is added where its x moved, and of
 * it only what is stored, columns of 8 rows that are not zero.
 *
 * Weights, as words: multipliers [rows]; the byte at which each column's blocks begin, and where
 * the last ones end [cols + 1]; 9 bytes per block: distance in groups of 8 rows from the one
 * before (from the first row), weights of the rows. Memory: sums [rows rounded up to a multiple of
 * 8], at first the biases; then x_hat.
 */
#include "ef_hold.h"
#include "ef_kernels.h"
#include "ef_math.h"

static inline void add_blocks(int32_t *sums, const EF_FLASH int8_t *block,
                              const EF_FLASH int8_t *end, int32_t change) {
    for (; block < end; block += 9) {
        sums += 8u * (uint8_t)block[0];
        sums[0] += block[1] * change;
        sums[1] += block[2] * change;
        sums[2] += block[3] * change;
        sums[3] += block[4] * change;
        sums[4] += block[5] * change;
        sums[5] += block[6] * change;
        sums[6] += block[7] * change;
        sums[7] += block[8] * change;
    }
}

void ef_delta_matvec_sparse_8x1_s8_s16(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    const unsigned rows = matrix->rows, cols = matrix->cols;
    const EF_FLASH int32_t *multiplier = matrix->weights;
    const EF_FLASH int32_t *start = multiplier + rows;
    const EF_FLASH int8_t *blocks = (const EF_FLASH int8_t *)(start + cols + 1);
    int32_t *sums = EF_MEMORY(matrix, x);
    int16_t *held = (int16_t *)(sums + ((rows + 7u) & ~7u));
    for (unsigned first = 0; first < cols; first += matrix->group) {
        const unsigned rest = cols - first;
        const unsigned count = rest < matrix->group ? rest : matrix->group;
        if (!ef_fires(x + first, held + first, count, matrix->threshold))
            continue;
        for (unsigned i = first; i < first + count; i++) {
            add_blocks(sums, blocks + start[i], blocks + start[i + 1], (int32_t)x[i] - held[i]);
            held[i] = x[i];
        }
    }
    for (unsigned i = 0; i < rows; i++)
        y[i] = ef_requantize(sums[i], multiplier[i], matrix->shift);
}

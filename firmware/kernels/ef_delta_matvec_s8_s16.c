/*
 * Delta matrix-vector product: sums are kept, a column is added where its x moved, so the work
 * falls with the changes. Equals the dense product of x_hat.
 *
 * Weights, int8 as words: multipliers [rows], then for each column its rows, rounded up to a
 * multiple of 4. Memory: sums [rows rounded up likewise], at first the biases; then x_hat.
 */
#include "ef_hold.h"
#include "ef_kernels.h"
#include "ef_math.h"

void ef_delta_matvec_s8_s16(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    const unsigned rows = matrix->rows, cols = matrix->cols;
    const unsigned padded = (rows + 3u) & ~3u;
    const int32_t *multiplier = matrix->weights;
    const int8_t *weights = (const int8_t *)(multiplier + rows);
    int32_t *sums = EF_MEMORY(matrix, x);
    int16_t *held = (int16_t *)(sums + padded);
    for (unsigned first = 0; first < cols; first += matrix->group) {
        const unsigned rest = cols - first;
        const unsigned count = rest < matrix->group ? rest : matrix->group;
        if (!ef_fires(x + first, held + first, count, matrix->threshold))
            continue;
        for (unsigned i = first; i < first + count; i++) {
            const int8_t *column = weights + i * padded;
            const int32_t delta = x[i] - held[i];
            held[i] = x[i];
            for (unsigned row = 0; row < rows; row++)
                sums[row] += column[row] * delta;
        }
    }
    for (unsigned row = 0; row < rows; row++)
        y[row] = ef_requantize(sums[row], multiplier[row], matrix->shift);
}

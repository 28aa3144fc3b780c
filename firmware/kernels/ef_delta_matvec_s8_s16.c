/*
 * Delta matrix-vector product: sums are kept, a column is added where its x moved, so the work
 * falls with the changes. Equals the dense product of x_hat.
 *
 * Weights, int8 as words: multipliers [rows], then for each column its rows, rounded up to a
 * multiple of 4. Memory: sums [rows rounded up as these], at first the biases; then x_hat.
 */
#include "ef_hold.h"
#include "ef_kernels.h"
#include "ef_math.h"

enum { LISTED = 32 }; /* columns on the stack */

/* Adds the listed columns to 4 sums. */
static inline void add_columns(int32_t *sums, unsigned row, const ef_change *list,
                               const ef_change *end) {
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    for (; list < end; list++) {
        const EF_FLASH int8_t *weight = list->column + row;
        const int32_t change = list->change;
        a += weight[0] * change;
        b += weight[1] * change;
        c += weight[2] * change;
        d += weight[3] * change;
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

void ef_delta_matvec_s8_s16(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    const unsigned rows = matrix->rows, cols = matrix->cols;
    const unsigned padded = (rows + 3u) & ~3u;
    const EF_FLASH int32_t *multiplier = matrix->weights;
    const EF_FLASH int8_t *column = (const EF_FLASH int8_t *)(multiplier + rows);
    int32_t *sums = EF_MEMORY(matrix, x);
    int16_t *held = (int16_t *)(sums + padded);
    ef_change list[LISTED], *end = list;
    for (unsigned first = 0; first < cols; first += matrix->group) {
        const unsigned rest = cols - first;
        const unsigned count = rest < matrix->group ? rest : matrix->group;
        if (ef_fires(x + first, held + first, count, matrix->threshold)) {
            for (unsigned i = first; i < first + count; i++) {
                end->column = column + (i - first) * padded;
                end->change = (int32_t)x[i] - held[i];
                held[i] = x[i];
                if (++end == list + LISTED) {
                    for (unsigned row = 0; row < rows; row += 4)
                        add_columns(sums + row, row, list, end);
                    end = list;
                }
            }
        }
        column += count * padded;
    }
    for (unsigned row = 0; row < rows; row += 4) {
        add_columns(sums + row, row, list, end);
        for (unsigned i = row; i < row + 4 && i < rows; i++)
            y[i] = ef_requantize(sums[i], multiplier[i], matrix->shift);
    }
}

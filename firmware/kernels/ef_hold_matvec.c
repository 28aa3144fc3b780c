/* A delta matrix as a dense one that reads x_hat. Weights: its ef_matrix. Memory: x_hat. */
#include "ef_hold.h"
#include "ef_kernels.h"
#include "ef_math.h"

void ef_hold_matvec(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    const ef_matrix *dense = matrix->weights;
    int16_t *held = EF_MEMORY(matrix, x);
    for (unsigned first = 0; first < matrix->cols; first += matrix->group) {
        const unsigned rest = matrix->cols - first;
        const unsigned count = rest < matrix->group ? rest : matrix->group;
        if (!ef_fires(x + first, held + first, count, matrix->threshold))
            continue;
        for (unsigned i = first; i < first + count; i++)
            held[i] = x[i];
    }
    dense->matvec(dense, held, y);
}

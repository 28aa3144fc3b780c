/* A delta matrix as a dense one that reads x_hat. Weights: its ef_matrix. Memory: x_hat. */
#include "ef_hold.h"
#include "ef_kernels.h"
#include "ef_math.h"

void ef_hold_matvec(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    EF_FROM_FLASH(ef_matrix, dense, matrix->weights);
    int16_t *held = EF_MEMORY(matrix, x);
    ef_hold(matrix, x, held);
    dense->matvec(dense, held, y);
}

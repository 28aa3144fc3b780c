/* A product by the kernel that the matrix names, for TVM's steps. */
#include "ef_kernels.h"

void ef_apply(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    matrix->matvec(matrix, x, y);
}

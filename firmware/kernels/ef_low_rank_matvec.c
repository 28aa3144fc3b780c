/* A matrix of low rank as a product of two. Memory: the values that the second one reads. */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_low_rank_matvec(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    EF_FROM_FLASH(ef_low_rank, factors, matrix->weights);
    int16_t *product = EF_MEMORY(matrix, x);
    factors->factor->matvec(factors->factor, x, product);
    factors->left->matvec(factors->left, product, y);
}

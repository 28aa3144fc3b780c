/* Plain C matrix-vector product: the reference that every other kernel is tested against. */
#include "ef_kernels.h"
#include "ef_math.h"

void a_ef_matvec_s8_s16(const a_ef_matrix *matrix, const int16_t *x, int16_t *y) {
    const int8_t *w = matrix->weights;
    for (unsigned row = 0; row < matrix->rows; row++) {
        int32_t acc = matrix->bias[row];
        for (unsigned col = 0; col < matrix->cols; col++)
            acc += *w++ * x[col];
        y[row] = a_ef_requantize(acc, matrix->multiplier[row], matrix->shift);
    }
}

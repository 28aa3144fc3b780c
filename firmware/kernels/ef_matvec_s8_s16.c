/* Plain C matrix-vector product: the reference that every other kernel is tested against. */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_matvec_s8_s16(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    const EF_FLASH int8_t *w = matrix->weights;
    for (unsigned row = 0; row < matrix->rows; row++) {
        int32_t acc = matrix->bias[row];
        for (unsigned col = 0; col < matrix->cols; col++)
            acc += (int32_t)*w++ * x[col];
        y[row] = ef_requantize(acc, matrix->multiplier[row], matrix->shift);
    }
}

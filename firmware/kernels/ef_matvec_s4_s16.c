/* Plain C matrix-vector product: int4 weights, two columns per byte, the first in the low half. */
#include "ef_kernels.h"
#include "ef_math.h"

/* A four-bit number as int32. */
static inline int32_t digit(unsigned bits) {
    return (int32_t)(bits ^ 8u) - 8;
}

void ef_matvec_s4_s16(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    const EF_FLASH uint8_t *w = matrix->weights;
    for (unsigned row = 0; row < matrix->rows; row++) {
        int32_t acc = matrix->bias[row];
        for (unsigned col = 0; col < matrix->cols; col += 2) {
            const unsigned pair = *w++;
            acc += digit(pair & 15u) * x[col];
            if (col + 1 < matrix->cols)
                acc += digit(pair >> 4) * x[col + 1];
        }
        y[row] = ef_requantize(acc, matrix->multiplier[row], matrix->shift);
    }
}

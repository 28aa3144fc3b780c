/* Layer normalisation; see edgeflow/program/nodes/layer_norm.py, which says why nothing wraps. */
#include "ef_kernels.h"
#include "ef_math.h"

/* 2^44 / sqrt(root * 4^-half_exponent), root in 1..2^60: in Q30 of [1/2, 1] */
static int64_t inverse_root(int64_t root, int *half_exponent) {
    int exponent = 0;
    for (; root >= (int64_t)1 << 30; exponent++)
        root >>= 2;
    for (; root < (int64_t)1 << 28; exponent--)
        root *= 4;
    int64_t inverse = ((int64_t)69 << 24) - (root * 5 >> 3); /* within 10 % */
    for (int k = 0; k < 3; k++)
        inverse =
            (inverse * (((int64_t)3 << 30) - ((root * (inverse * inverse >> 30)) >> 28))) >> 31;
    *half_exponent = exponent;
    return inverse;
}

void ef_layer_norm_step(const ef_layer_norm *norm, const int16_t *x, int16_t *y) {
    const int32_t size = norm->size, limit = ((int32_t)1 << (norm->state_bits - 1)) - 1;
    int32_t total = 0;
    int64_t squares = 0;
    for (int32_t i = 0; i < size; i++) {
        total += x[i];
        squares += (int32_t)x[i] * x[i];
    }
    int exponent;
    const int64_t root = size * squares - (int64_t)total * total + norm->epsilon;
    const int64_t inverse = inverse_root(root, &exponent);
    const int down = 24 + exponent, down_y = 20 + norm->shift; /* 10..39, 20..35 */
    for (int32_t i = 0; i < size; i++) {
        const int64_t scaled = (size * x[i] - total) * inverse; /* at most 2^60 */
        const int64_t z = (scaled + ((int64_t)1 << (down - 1))) >> down;
        int64_t value = z * norm->gain[i] + (int64_t)norm->bias[i] * ((int32_t)1 << 20);
        value = (value + ((int64_t)1 << (down_y - 1))) >> down_y;
        y[i] = (int16_t)(value < -limit ? -limit : value > limit ? limit : value);
    }
}

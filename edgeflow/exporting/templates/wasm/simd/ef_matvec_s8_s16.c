/*
 * The plain C kernel of the same name with SIMD128, for weights in the same order: four rows at a
 * time, eight columns of each in one dot product. Sums are within int32 in any order.
 */
#include <wasm_simd128.h>

#include "ef_kernels.h"
#include "ef_math.h"

/* Eight weights times eight x, in four sums. */
static inline v128_t dot(const int8_t *w, v128_t x) {
    return wasm_i32x4_dot_i16x8(wasm_i16x8_load8x8(w), x);
}

/* The sum of each of four vectors. */
static inline v128_t sums(v128_t a, v128_t b, v128_t c, v128_t d) {
    const v128_t ab =
        wasm_i32x4_add(wasm_i32x4_shuffle(a, b, 0, 4, 1, 5), wasm_i32x4_shuffle(a, b, 2, 6, 3, 7));
    const v128_t cd =
        wasm_i32x4_add(wasm_i32x4_shuffle(c, d, 0, 4, 1, 5), wasm_i32x4_shuffle(c, d, 2, 6, 3, 7));
    return wasm_i32x4_add(wasm_i32x4_shuffle(ab, cd, 0, 1, 4, 5),
                          wasm_i32x4_shuffle(ab, cd, 2, 3, 6, 7));
}

/* ef_requantize of four rows, in the lower half. */
static inline v128_t requantize(v128_t acc, v128_t multiplier, unsigned shift) {
    const v128_t scaled = wasm_i32x4_shl(acc, shift), half = wasm_i64x2_splat((int64_t)1 << 31);
    const v128_t low = wasm_i64x2_add(wasm_i64x2_extmul_low_i32x4(scaled, multiplier), half);
    const v128_t high = wasm_i64x2_add(wasm_i64x2_extmul_high_i32x4(scaled, multiplier), half);
    const v128_t upper = wasm_i32x4_shuffle(low, high, 1, 3, 5, 7);
    return wasm_i16x8_narrow_i32x4(upper, upper);
}

void ef_matvec_s8_s16(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    const unsigned rows = matrix->rows, cols = matrix->cols, whole = cols & ~7u;
    const int8_t *w = matrix->weights, *end = w + rows * cols;
    int16_t rest[8] = {0};
    for (unsigned col = whole; col < cols; col++)
        rest[col - whole] = x[col];
    const v128_t last = wasm_v128_load(rest);
    unsigned row = 0;
    /* the last product of a row reads up to seven weights behind it, times zero */
    for (; end - w >= (int)(4 * cols + 7); row += 4, w += 4 * cols) {
        v128_t a = wasm_i32x4_const_splat(0), b = a, c = a, d = a;
        const int8_t *p = w;
        for (unsigned col = 0; col < whole; col += 8, p += 8) {
            const v128_t eight = wasm_v128_load(x + col);
            a = wasm_i32x4_add(a, dot(p, eight));
            b = wasm_i32x4_add(b, dot(p + cols, eight));
            c = wasm_i32x4_add(c, dot(p + 2 * cols, eight));
            d = wasm_i32x4_add(d, dot(p + 3 * cols, eight));
        }
        a = wasm_i32x4_add(a, dot(p, last));
        b = wasm_i32x4_add(b, dot(p + cols, last));
        c = wasm_i32x4_add(c, dot(p + 2 * cols, last));
        d = wasm_i32x4_add(d, dot(p + 3 * cols, last));
        const v128_t acc = wasm_i32x4_add(sums(a, b, c, d), wasm_v128_load(matrix->bias + row));
        const v128_t multiplier = wasm_v128_load(matrix->multiplier + row);
        wasm_v128_store64_lane(y + row, requantize(acc, multiplier, matrix->shift), 0);
    }
    for (; row < rows; row++) {
        int32_t acc = matrix->bias[row];
        for (unsigned col = 0; col < cols; col++)
            acc += (int32_t)*w++ * x[col];
        y[row] = ef_requantize(acc, matrix->multiplier[row], matrix->shift);
    }
}

/* The arithmetic of docs/integer-semantics.md in 64 bits and without shifts of signed numbers. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include "ef_kernels.h"

static inline int64_t clip64(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

/* value / divisor, rounded down; divisor > 0 */
static inline int64_t floor_divide(int64_t value, int64_t divisor) {
    const int64_t quotient = value / divisor;
    return value % divisor < 0 ? quotient - 1 : quotient;
}

/* value / 2^shift, half rounds up */
static inline int64_t round_shift(int64_t value, unsigned shift) {
    return floor_divide(2 * value + ((int64_t)1 << shift), (int64_t)2 << shift);
}

static inline int16_t requantize64(int64_t acc, int32_t multiplier, unsigned shift) {
    const int64_t product = acc * ((int64_t)1 << shift) * multiplier;
    return (int16_t)clip64(floor_divide(product + ((int64_t)1 << 31), (int64_t)1 << 32), -32768,
                           32767);
}

/* A matrix as it is before any packing. */
enum { MAX_ROWS = 40, MAX_COLS = 700 };
typedef struct {
    unsigned rows, cols, shift;
    int8_t weight[MAX_ROWS][MAX_COLS];
    int32_t bias[MAX_ROWS], multiplier[MAX_ROWS];
} plain_matrix;

static inline void product64(const plain_matrix *m, const int16_t *x, int16_t *y) {
    for (unsigned row = 0; row < m->rows; row++) {
        int64_t acc = m->bias[row];
        for (unsigned col = 0; col < m->cols; col++)
            acc += (int64_t)m->weight[row][col] * x[col];
        y[row] = requantize64(acc, m->multiplier[row], m->shift);
    }
}

#endif

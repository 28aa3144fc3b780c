/*
 * Matrix-vector product for Advanced SIMD: int8 weights, any int16 x, eight rows at a time.
 *
 * Weights are one stream. A group of eight rows is
 *   8 words           bias
 *   8 bytes           weights, for each column
 *   8 words           multipliers
 * with rows padded by zeros and columns to a multiple of four.
 *
 * SQRDMULH is (2 u m + 2^31) >> 32, so of u = acc << (shift - 1) it is what ef_requantize computes;
 * it saturates for -2^31 twice only, and m is not negative.
 */
#include <arm_neon.h>

#include "ef_kernels.h"

typedef struct {
    int32x4_t low, high; /* rows 0..3 and 4..7 */
} ef_rows;

/* Adds two columns, times two lanes of x. */
#define ADD_COLUMNS(acc, w, x, lane)                                                               \
    do {                                                                                           \
        const int8x16_t columns = vld1q_s8(w);                                                     \
        const int16x8_t first = vmovl_s8(vget_low_s8(columns));                                    \
        const int16x8_t second = vmovl_high_s8(columns);                                           \
        acc.low = vmlal_lane_s16(acc.low, vget_low_s16(first), x, lane);                           \
        acc.high = vmlal_high_lane_s16(acc.high, first, x, lane);                                  \
        acc.low = vmlal_lane_s16(acc.low, vget_low_s16(second), x, lane + 1);                      \
        acc.high = vmlal_high_lane_s16(acc.high, second, x, lane + 1);                             \
        w += 16;                                                                                   \
    } while (0)

static inline int16x8_t requantize(ef_rows acc, int32x4_t shift, const int32_t *multiplier) {
    const int32x4_t low = vqrdmulhq_s32(vshlq_s32(acc.low, shift), vld1q_s32(multiplier));
    const int32x4_t high = vqrdmulhq_s32(vshlq_s32(acc.high, shift), vld1q_s32(multiplier + 4));
    return vqmovn_high_s32(vqmovn_s32(low), high);
}

void ef_matvec_s8_s16_neon(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    const unsigned rows = matrix->rows, fours = (matrix->cols + 3u) / 4;
    const int32x4_t shift = vdupq_n_s32(matrix->shift - 1);
    const int8_t *w = matrix->weights;
    const int16_t *end = x + 4 * fours;
    for (unsigned row = 0; row < rows; row += 8) {
        const int32_t *bias = (const int32_t *)(const void *)w;
        ef_rows acc = {vld1q_s32(bias), vld1q_s32(bias + 4)};
        const int16_t *p = x;
        w += 32;
        if (fours & 1) {
            const int16x4_t four = vld1_s16(p);
            ADD_COLUMNS(acc, w, four, 0);
            ADD_COLUMNS(acc, w, four, 2);
            p += 4;
        }
        for (; p < end; p += 8) {
            const int16x4_t four = vld1_s16(p), next = vld1_s16(p + 4);
            ADD_COLUMNS(acc, w, four, 0);
            ADD_COLUMNS(acc, w, four, 2);
            ADD_COLUMNS(acc, w, next, 0);
            ADD_COLUMNS(acc, w, next, 2);
        }
        const int16x8_t result = requantize(acc, shift, (const int32_t *)(const void *)w);
        w += 32;
        if (rows - row >= 8) {
            vst1q_s16(y + row, result);
        } else {
            int16_t rest[8];
            vst1q_s16(rest, result);
            for (unsigned i = row; i < rows; i++)
                y[i] = rest[i - row];
        }
    }
}

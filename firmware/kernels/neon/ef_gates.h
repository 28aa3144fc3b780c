/* Gates in passes over arrays: eight values at a time, but for the loads from a table. */
#ifndef EF_GATES_H
#define EF_GATES_H

#include <arm_neon.h>

#include "ef_kernels.h"
#include "ef_math.h"

/* Both nodes around a value in Q3.12, the left one in the lower half; middle is the entry 128. */
#define EF_NODES(nodes, middle, at, lane)                                                          \
    vld1q_lane_s32((const int32_t *)(const void *)((middle) + vgetq_lane_s16(at, lane)), nodes,    \
                   (lane) % 4)

/* v[i] = lookup(sat16(v[i] + u[i])) */
static void ef_gate_pass(const int16_t *middle, int16_t *v, const int16_t *u, unsigned count) {
    unsigned i = 0;
    for (; i + 8 <= count; i += 8) {
        const int16x8_t sum = vqaddq_s16(vld1q_s16(v + i), vld1q_s16(u + i));
        const int16x8_t at = vshrq_n_s16(sum, 8);
        const int16x8_t fraction = vandq_s16(sum, vdupq_n_s16(255));
        int32x4_t low = vdupq_n_s32(0), high = low;
        low = EF_NODES(low, middle, at, 0);
        low = EF_NODES(low, middle, at, 1);
        low = EF_NODES(low, middle, at, 2);
        low = EF_NODES(low, middle, at, 3);
        high = EF_NODES(high, middle, at, 4);
        high = EF_NODES(high, middle, at, 5);
        high = EF_NODES(high, middle, at, 6);
        high = EF_NODES(high, middle, at, 7);
        const int16x8_t first = vreinterpretq_s16_s32(low), second = vreinterpretq_s16_s32(high);
        const int16x8_t left = vuzp1q_s16(first, second);
        /* neighbours differ by less than 2^15, and the rounded product by no more */
        const int16x8_t rise = vsubq_s16(vuzp2q_s16(first, second), left);
        const int32x4_t a = vmull_s16(vget_low_s16(rise), vget_low_s16(fraction));
        const int32x4_t b = vmull_high_s16(rise, fraction);
        const int16x8_t step = vrshrn_high_n_s32(vrshrn_n_s32(a, 8), b, 8);
        vst1q_s16(v + i, vaddq_s16(left, step));
    }
    for (; i < count; i++)
        v[i] = (int16_t)ef_lookup(middle - 128, ef_sat16(v[i] + u[i]));
}

/* u[i] = round(r[i] u[i] / 2^15), r at least 0: SQRDMULH does not saturate */
static inline void ef_scale_pass(const int16_t *r, int16_t *u, unsigned count) {
    unsigned i = 0;
    for (; i + 8 <= count; i += 8)
        vst1q_s16(u + i, vqrdmulhq_s16(vld1q_s16(r + i), vld1q_s16(u + i)));
    for (; i < count; i++)
        u[i] = (int16_t)((r[i] * u[i] + (1 << 14)) >> 15);
}

#endif

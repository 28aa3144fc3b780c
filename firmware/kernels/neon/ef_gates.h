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

/* value / 2^shift, half rounds up, clipped to +-(2^(bits - 1) - 1) */
static inline int16x8_t ef_narrow_x8(int32x4_t low, int32x4_t high, unsigned shift, unsigned bits) {
    const int32x4_t right = vdupq_n_s32(-(int32_t)shift);
    const int16x8_t limit = vdupq_n_s16((int16_t)((1 << (bits - 1u)) - 1));
    const int16x4_t first = vqmovn_s32(vrshlq_s32(low, right));
    const int16x8_t value = vqmovn_high_s32(first, vrshlq_s32(high, right));
    return vmaxq_s16(vminq_s16(value, limit), vnegq_s16(limit));
}

/* GRU: blends eight units of h at a time, n 2^15 + z (h - n) with h in Q0.15; returns how many. */
static inline unsigned ef_blend_pass(const int16_t *n, const int16_t *z, int16_t *h, unsigned count,
                                     unsigned bits) {
    const int16x8_t up = vdupq_n_s16((int16_t)(16u - bits));
    unsigned i = 0;
    for (; i + 8 <= count; i += 8) {
        const int16x8_t a = vld1q_s16(n + i), b = vld1q_s16(z + i);
        const int16x8_t before = vshlq_s16(vld1q_s16(h + i), up);
        int32x4_t low = vshll_n_s16(vget_low_s16(a), 15), high = vshll_high_n_s16(a, 15);
        low = vmlal_s16(low, vget_low_s16(b), vget_low_s16(before));
        high = vmlal_high_s16(high, b, before);
        low = vmlsl_s16(low, vget_low_s16(b), vget_low_s16(a));
        high = vmlsl_high_s16(high, b, a);
        vst1q_s16(h + i, ef_narrow_x8(low, high, 31u - bits, bits));
    }
    return i;
}

/* LSTM: c = sat16(f c + i g), c in Q3.12, and zeros `count` behind, for eight units at a time;
   returns how many. */
static inline unsigned ef_cell_pass(const int16_t *f, const int16_t *input, const int16_t *g,
                                    int16_t *c, int16_t *out, unsigned count, unsigned fraction) {
    const int32x4_t right = vdupq_n_s32((int32_t)fraction - 15);
    const int32x4_t down = vdupq_n_s32(-(int32_t)fraction);
    unsigned i = 0;
    for (; i + 8 <= count; i += 8) {
        const int16x8_t a = vld1q_s16(input + i), b = vld1q_s16(g + i);
        const int16x8_t keep = vld1q_s16(f + i), before = vld1q_s16(c + i);
        int32x4_t low = vshlq_s32(vmull_s16(vget_low_s16(a), vget_low_s16(b)), right);
        int32x4_t high = vshlq_s32(vmull_high_s16(a, b), right);
        low = vmlal_s16(low, vget_low_s16(keep), vget_low_s16(before));
        high = vmlal_high_s16(high, keep, before);
        const int16x8_t next = vqrshrn_high_n_s32(vqrshrn_n_s32(low, 15), high, 15);
        vst1q_s16(c + i, next);
        low = vrshlq_s32(vshll_n_s16(vget_low_s16(next), 12), down);
        high = vrshlq_s32(vshll_high_n_s16(next, 12), down);
        vst1q_s16(out + i, vqmovn_high_s32(vqmovn_s32(low), high));
        vst1q_s16(out + count + i, vdupq_n_s16(0));
    }
    return i;
}

/* LSTM: h = o u, eight units at a time; returns how many. */
static inline unsigned ef_output_pass(const int16_t *o, const int16_t *u, int16_t *h,
                                      unsigned count, unsigned bits) {
    unsigned i = 0;
    for (; i + 8 <= count; i += 8) {
        const int16x8_t a = vld1q_s16(o + i), b = vld1q_s16(u + i);
        const int32x4_t low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
        vst1q_s16(h + i, ef_narrow_x8(low, vmull_high_s16(a, b), 31u - bits, bits));
    }
    return i;
}

#endif

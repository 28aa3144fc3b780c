/* Fixed-point primitives on vectors of four int32: in each lane the same bits as ef_math.h. */
#ifndef EF_MATH_MVE_H
#define EF_MATH_MVE_H

#include <arm_mve.h>

/* Any table; value is Q3.12 within int16. */
static inline int32x4_t ef_lookup_x4(const int16_t *table, int32x4_t value) {
    uint32x4_t node = vreinterpretq_u32_s32(vaddq_n_s32(vshrq_n_s32(value, 8), 128));
    int32x4_t left = vldrhq_gather_shifted_offset_s32(table, node);
    int32x4_t right = vldrhq_gather_shifted_offset_s32(table + 1, node);
    int32x4_t fraction = vandq_s32(value, vdupq_n_s32(0xff));
    return vaddq_s32(left, vrshrq_n_s32(vmulq_s32(vsubq_s32(right, left), fraction), 8));
}

static inline int32x4_t ef_sat16_x4(int32x4_t value) {
    return vmovlbq_s16(vqmovnbq_s32(vdupq_n_s16(0), value));
}

/* limit = 2^(bits - 1) - 1; shift 0 leaves value as it is */
static inline int32x4_t ef_narrow_x4(int32x4_t value, int32_t shift, int32_t limit) {
    value = vrshlq_n_s32(value, -shift);
    return vmaxq_s32(vminq_s32(value, vdupq_n_s32(limit)), vdupq_n_s32(-limit));
}

/* (a b + 2^14) >> 15 for products that leave room for 2^14 */
static inline int32x4_t ef_scale_x4(int32x4_t a, int32x4_t b) {
    return vrshrq_n_s32(vmulq_s32(a, b), 15);
}

/* The state moves towards target at a rate in Q0.15. */
static inline int32x4_t ef_leak_x4(int32x4_t h, int32x4_t rate, int32x4_t target) {
    return vaddq_s32(h, vmulq_s32(rate, vsubq_s32(target, vshrq_n_s32(h, 15))));
}

#endif

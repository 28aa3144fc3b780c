/* Fixed-point primitives. The same as edgeflow/program/fixedpoint.py, bit for bit. */
#ifndef EF_MATH_H
#define EF_MATH_H

#include <stdint.h>

/* Right shifts of negative numbers must be arithmetic: C leaves it to the compiler. */
typedef char ef_arithmetic_shift_required[(-3 >> 1) == -2 ? 1 : -1];

static inline int32_t ef_clip(int32_t value, int32_t low, int32_t high) {
    return value < low ? low : value > high ? high : value;
}

/* Inline assembly and not arm_acle.h: the intrinsics also keep track of the Q flag. */
static inline int32_t ef_sat16(int32_t value) {
#if defined(__ARM_FEATURE_SAT)
    int32_t result;
    __asm("ssat %0, #16, %1" : "=r"(result) : "r"(value));
    return result;
#else
    return ef_clip(value, -32768, 32767);
#endif
}

/* (a * b + 2^31) >> 32 */
static inline int32_t ef_multiply_high_round(int32_t a, int32_t b) {
#if defined(__ARM_FEATURE_DSP)
    int32_t result;
    __asm("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
#else
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
#endif
}

/* sat16(((acc << shift) * multiplier + 2^31) >> 32); the shifted accumulator is proven to fit. */
static inline int16_t ef_requantize(int32_t acc, int32_t multiplier, unsigned shift) {
    int32_t scaled = (int32_t)((uint32_t)acc << shift);
    return (int16_t)ef_sat16(ef_multiply_high_round(scaled, multiplier));
}

/* Linear interpolation in a 257-entry table; value is Q3.12 within int16, the result Q0.15. */
static inline int32_t ef_lookup(const int16_t *table, int32_t value) {
    const int16_t *node = table + 128 + (value >> 8);
    int32_t left = node[0];
    return left + (((node[1] - left) * (value & 0xff) + 128) >> 8);
}

#endif

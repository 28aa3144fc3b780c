/* Fixed-point primitives. The same as edgeflow/program/fixedpoint.py, bit for bit. */
#ifndef EF_MATH_H
#define EF_MATH_H

#include <stdint.h>

#include "ef_flash.h"

/* memory of a delta matrix, for the x that it is called with */
#define EF_MEMORY(matrix, x) ((void *)((uintptr_t)(x) + (uintptr_t)(matrix)->memory))

/* Right shifts of negative numbers must be arithmetic: C leaves it to the compiler. */
typedef char ef_arithmetic_shift_required[(-3 >> 1) == -2 ? 1 : -1];

/* To a multiple of 4: what a matvec may read of x. */
static inline unsigned ef_round_up(unsigned size) {
    return (size + 3u) & ~3u;
}

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

#if defined(__ARM_FEATURE_DSP)
/* sum + the products of both halfwords of a and b */
static inline int32_t ef_dual_mac(uint32_t a, uint32_t b, int32_t sum) {
    int32_t result;
    __asm("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}
#endif

/* of 32 bits, value > 0 */
static inline unsigned ef_leading_zeros(uint32_t value) {
#if defined(__GNUC__) && __SIZEOF_INT__ == 4
    return (unsigned)__builtin_clz(value);
#else
    unsigned zeros = 0;
    for (; !(value >> 31); zeros++)
        value <<= 1;
    return zeros;
#endif
}

/* value / 2^shift, half rounds up, clipped to +-(2^(bits - 1) - 1); shift >= 1, and
   |value| + 2^(shift - 1) fits */
static inline int16_t ef_narrow(int32_t value, unsigned shift, unsigned bits) {
    const int32_t limit = ((int32_t)1 << (bits - 1u)) - 1;
    return (int16_t)ef_clip((value + ((int32_t)1 << (shift - 1u))) >> shift, -limit, limit);
}

/* sat16(((acc << shift) * multiplier + 2^31) >> 32); the shifted accumulator is proven to fit. */
static inline int16_t ef_requantize(int32_t acc, int32_t multiplier, unsigned shift) {
    int32_t scaled = (int32_t)((uint32_t)acc << shift);
    return (int16_t)ef_sat16(ef_multiply_high_round(scaled, multiplier));
}

/*
 * Moves h, with 15 fractional bits, towards an int16 target at a rate in Q0.15. |h| stays below
 * 2^30, as h' is a mean of both: (2^15 - rate) (h >> 15) + rate target, and the bits below. The
 * product is at most 32767 * 65535 < 2^31.
 */
static inline int32_t ef_leak(int32_t h, int32_t rate, int32_t target) {
    return h + rate * (target - (h >> 15));
}

/* 2^-f in Q0.15, f in Q.12 below 1: the polynomial of edgeflow/program/confidence.py. */
static inline uint32_t ef_half_power(uint32_t fraction) {
    const uint32_t f = fraction << 3;
    return 32768u - ((f * (22662u - ((f * (7569u - ((f * 1291u) >> 15))) >> 15))) >> 15);
}

/* Linear interpolation in a 257-entry table; value is Q3.12 within int16, the result Q0.15. */
static inline int32_t ef_lookup(const EF_FLASH int16_t *table, int32_t value) {
    const EF_FLASH int16_t *node = table + 128 + (value >> 8);
    int32_t left = node[0];
    return left + (((node[1] - left) * (value & 0xff) + 128) >> 8);
}

#endif

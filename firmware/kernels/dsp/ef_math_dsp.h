/* Fixed-point primitives for cores with the Arm DSP extension, mostly on two int16 in a word. */
#ifndef EF_MATH_DSP_H
#define EF_MATH_DSP_H

#include <stdint.h>

#include "ef_math.h"
#include "ef_word.h"

/* Inline assembly and not arm_acle.h: the intrinsics also keep track of the Q flag. */
#define EF_PAIRWISE(name)                                                                          \
    static inline uint32_t ef_##name(uint32_t a, uint32_t b) {                                     \
        uint32_t result;                                                                           \
        __asm(#name " %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));                                \
        return result;                                                                             \
    }
EF_PAIRWISE(qadd16)
EF_PAIRWISE(qsub16)
EF_PAIRWISE(sadd16)
EF_PAIRWISE(ssub16)

/* sum + the product of halfwords: b the low one, t the high one of each */
#define EF_HALF_MAC(name)                                                                          \
    static inline int32_t ef_##name(uint32_t a, uint32_t b, int32_t sum) {                         \
        int32_t result;                                                                            \
        __asm(#name " %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));                  \
        return result;                                                                             \
    }
EF_HALF_MAC(smlad)
EF_HALF_MAC(smlabb)
EF_HALF_MAC(smlatb)
EF_HALF_MAC(smlabt)
EF_HALF_MAC(smlatt)

/* value >> 15 of both. */
static inline uint32_t ef_pack_q15(int32_t low, int32_t high) {
    uint32_t result;
    __asm("pkhtb %0, %1, %2, asr #15" : "=r"(result) : "r"((uint32_t)high << 1), "r"(low));
    return result;
}

/* sat16(value >> 15) */
static inline int32_t ef_sat16_q15(int32_t value) {
    int32_t result;
    __asm("ssat %0, #16, %1, asr #15" : "=r"(result) : "r"(value));
    return result;
}

static inline uint32_t ef_twice(int32_t value) {
    return ((uint32_t)value & 0xffff) * 0x10001u;
}

/* Limits of both halves of a word, set up once for ef_clip_pair. */
typedef struct {
    uint32_t above;
    uint32_t below;
} ef_limits;

/* +-(2^(bits - 1) - 1), bits 8..16 */
static inline ef_limits ef_limits_of(unsigned bits) {
    const int32_t limit = ((int32_t)1 << (bits - 1u)) - 1;
    const ef_limits limits = {ef_twice(32767 - limit), ef_twice(32768 - limit)};
    return limits;
}

static inline uint32_t ef_clip_pair(uint32_t pair, ef_limits limits) {
    pair = ef_ssub16(ef_qadd16(pair, limits.above), limits.above);
    return ef_sadd16(ef_qsub16(pair, limits.below), limits.below);
}

/* ef_narrow of two values; half is 2^(shift - 1). */
static inline uint32_t ef_narrow_pair(int32_t low, int32_t high, unsigned shift, int32_t half,
                                      ef_limits limits) {
    const int32_t y0 = ef_sat16((low + half) >> shift), y1 = ef_sat16((high + half) >> shift);
    return ef_clip_pair(ef_pack(y0, y1), limits);
}

/* Operands of ef_lookup_pair in registers. */
typedef struct {
    uint32_t one;   /* 256, twice */
    uint32_t round; /* 128 */
} ef_interpolation;

static inline ef_interpolation ef_interpolation_of(void) {
    ef_interpolation constants = {0x01000100u, 128};
    __asm("" : "+r"(constants.one), "+r"(constants.round)); /* or they are loaded each time */
    return constants;
}

/*
 * Writes ef_lookup of both halves of a word, times 256, to low and high: left (256 - f) + right f,
 * rounded. Both nodes of a value are one load, both factors one word. `middle` is the entry 128.
 */
static inline void ef_lookup_pair(const int16_t *middle, uint32_t pair, ef_interpolation constants,
                                  int32_t *low, int32_t *high) {
    int32_t y0, y1;
    uint32_t fraction, rest;
    __asm("uxtb16 %[f], %[v]\n\t"
          "sbfx %[y0], %[v], #8, #8\n\t"
          "asr %[y1], %[v], #24\n\t"
          "ldr.w %[y0], [%[t], %[y0], lsl #1]\n\t"
          "ldr.w %[y1], [%[t], %[y1], lsl #1]\n\t"
          "ssub16 %[r], %[one], %[f]\n\t"
          "pkhbt %[v], %[r], %[f], lsl #16\n\t"
          "pkhtb %[f], %[f], %[r], asr #16\n\t"
          "smlad %[y0], %[y0], %[v], %[half]\n\t"
          "smlad %[y1], %[y1], %[f], %[half]"
          : [y0] "=&r"(y0), [y1] "=&r"(y1), [f] "=&r"(fraction), [r] "=&r"(rest), [v] "+r"(pair)
          : [t] "r"(middle), [one] "r"(constants.one), [half] "r"(constants.round));
    *low = y0;
    *high = y1;
}

#endif

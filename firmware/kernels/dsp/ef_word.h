/* Two int16 in a word: Arm DSP extension, which also loads and stores words at any address. */
#ifndef EF_WORD_H
#define EF_WORD_H

#include <stdint.h>
#include <string.h>

static inline uint32_t ef_load2(const int16_t *p) {
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

static inline void ef_store2(int16_t *p, uint32_t word) {
    memcpy(p, &word, sizeof word);
}

static inline int32_t ef_low(uint32_t word) {
    return (int16_t)word;
}

static inline int32_t ef_high(uint32_t word) {
    return (int32_t)word >> 16;
}

/* low as the lower half, high as the upper one */
static inline uint32_t ef_pack(int32_t low, int32_t high) {
    uint32_t word;
    __asm("pkhbt %0, %1, %2, lsl #16" : "=r"(word) : "r"(low), "r"(high));
    return word;
}

#endif

/* The product of learned rows; see edgeflow/program/nodes/adaptive_linear.py. */
#include <string.h>

#include "ef_kernels.h"
#include "ef_math.h"

#if defined(__ARM_FEATURE_DSP)
#define ROWS 4

/* Two values, at any halfword, and p behind them: compilers keep five pointers apart instead. */
static inline uint32_t next(const int16_t **p) {
    uint32_t word;
    __asm("ldr %0, [%1], #4" : "=r"(word), "+r"(*p) : : "memory");
    return word;
}

/* Four rows, which share what is loaded of x. */
static void rows(const ef_adaptive *cell, const int16_t *x, const int32_t *bias,
                 const int16_t *weights, int16_t *y) {
    const unsigned inputs = cell->inputs;
    const int16_t *a = weights, *b = a + inputs, *c = b + inputs, *d = c + inputs;
    int32_t s = bias[0], t = bias[1], u = bias[2], v = bias[3];
#define PAIR                                                                                       \
    {                                                                                              \
        const uint32_t two = next(&x);                                                             \
        s = ef_dual_mac(next(&a), two, s);                                                         \
        t = ef_dual_mac(next(&b), two, t);                                                         \
        u = ef_dual_mac(next(&c), two, u);                                                         \
        v = ef_dual_mac(next(&d), two, v);                                                         \
    }
    for (const int16_t *const end = x + (inputs & ~7u); x != end;) {
        PAIR PAIR PAIR PAIR
    }
    for (const int16_t *const end = x + (inputs & 6u); x != end;)
        PAIR
#undef PAIR
            if (inputs & 1u) {
            s += *a * (int32_t)*x;
            t += *b * (int32_t)*x;
            u += *c * (int32_t)*x;
            v += *d * (int32_t)*x;
        }
    y[0] = ef_requantize(s, cell->multiplier, 1);
    y[1] = ef_requantize(t, cell->multiplier, 1);
    y[2] = ef_requantize(u, cell->multiplier, 1);
    y[3] = ef_requantize(v, cell->multiplier, 1);
}
#else
#define ROWS 1

static void rows(const ef_adaptive *cell, const int16_t *x, const int32_t *bias,
                 const int16_t *weights, int16_t *y) {
    int32_t sum = *bias;
    for (unsigned j = 0; j < cell->inputs; j++)
        sum += (int32_t)weights[j] * x[j];
    *y = ef_requantize(sum, cell->multiplier, 1);
}
#endif

void ef_adaptive_product(const ef_adaptive *cell, const int16_t *x, const int32_t *bias,
                         const int16_t *weights, int16_t *y) {
    const unsigned outputs = cell->outputs;
    if (outputs < ROWS) {
        for (unsigned i = 0; i < outputs; i++) {
            int32_t sum = bias[i];
            for (unsigned j = 0; j < cell->inputs; j++)
                sum += (int32_t)*weights++ * x[j];
            y[i] = ef_requantize(sum, cell->multiplier, 1);
        }
        return;
    }
    /* the last rows that are no whole group are made with some before them once more */
    for (unsigned i = 0; i < outputs; i += ROWS) {
        const unsigned first = i + ROWS <= outputs ? i : outputs - ROWS;
        rows(cell, x, bias + first, weights + (size_t)first * cell->inputs, y + first);
    }
}

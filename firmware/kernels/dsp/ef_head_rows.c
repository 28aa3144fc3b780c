/* ef_head_rows for the Arm DSP extension: a master's upper half is the weight, where it stands. */
#include "ef_kernels.h"
#include "ef_math.h"
#include "ef_math_dsp.h"

#define SATURATING(name)                                                                           \
    static inline int32_t name(int32_t a, int32_t b) {                                             \
        int32_t result;                                                                            \
        __asm(#name " %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));                                \
        return result;                                                                             \
    }
SATURATING(qadd)
SATURATING(qsub)

int32_t ef_head_product(const int32_t *masters, const int16_t *x, unsigned inputs, int32_t sum) {
    for (const int16_t *const end = x + (inputs & ~3u); x != end; x += 4, masters += 4) {
        const uint32_t low = ef_load2(x), high = ef_load2(x + 2);
        sum = ef_smlatb((uint32_t)masters[0], low, sum);
        sum = ef_smlatt((uint32_t)masters[1], low, sum);
        sum = ef_smlatb((uint32_t)masters[2], high, sum);
        sum = ef_smlatt((uint32_t)masters[3], high, sum);
    }
    for (const int16_t *const end = x + (inputs & 3u); x != end;)
        sum += (*masters++ >> 16) * *x++;
    return sum;
}

/* Limits as distances from the ends of int32, where sums stop by themselves. */
typedef struct {
    int32_t above;
    int32_t below;
} ends;

static inline int32_t clipped(int32_t value, ends to) {
    return qsub(qadd(value, to.above) - to.above, to.below) + to.below;
}

void ef_head_move(int32_t *masters, const int16_t *x, unsigned inputs, int32_t move,
                  int32_t limit) {
    const uint32_t back = (uint32_t)-move;
    ends to = {INT32_MAX - limit, INT32_MAX - limit + 1};
    __asm("" : "+r"(to.above), "+r"(to.below)); /* or they are made each time */
    for (const int16_t *const end = x + (inputs & ~3u); x != end; x += 4, masters += 4) {
        const uint32_t low = ef_load2(x), high = ef_load2(x + 2);
        const int32_t a = masters[0], b = masters[1], c = masters[2], d = masters[3];
        masters[0] = clipped(ef_smlabb(back, low, a), to);
        masters[1] = clipped(ef_smlabt(back, low, b), to);
        masters[2] = clipped(ef_smlabb(back, high, c), to);
        masters[3] = clipped(ef_smlabt(back, high, d), to);
    }
    for (const int16_t *const end = x + (inputs & 3u); x != end; masters++)
        *masters = ef_clip(*masters - move * *x++, -limit, limit);
}

/* New samples of a frame of sound, and its window: words of two samples. */
#include "ef_kernels.h"
#include "ef_math_dsp.h"

/* Forwards, so that `to` may be before `from` in the same array. */
static void move(int16_t *to, const int16_t *from, unsigned count) {
    for (; count >= 8; count -= 8, to += 8, from += 8) {
        const uint32_t a = ef_load2(from), b = ef_load2(from + 2);
        const uint32_t c = ef_load2(from + 4), d = ef_load2(from + 6);
        ef_store2(to, a);
        ef_store2(to + 2, b);
        ef_store2(to + 4, c);
        ef_store2(to + 6, d);
    }
    for (; count > 0; count--)
        *to++ = *from++;
}

void ef_window_frame(const ef_log_mel *cell, const int16_t *x, int16_t *frame, int32_t *z) {
    const unsigned size = cell->size, hop = cell->hop;
    const int16_t *window = cell->window, *order = cell->order, *end = order + size / 2;
    move(frame, frame + hop, size - hop);
    move(frame + size - hop, x, hop);
    while (order < end) {
        const unsigned at = 2u * (unsigned)*order++;
        const uint32_t samples = ef_load2(frame + at), factors = ef_load2(window + at);
        *z++ = ef_low(samples) * ef_low(factors) >> 7;
        *z++ = ef_high(samples) * ef_high(factors) >> 7;
    }
}

/*
 * ef_add_columns_s8 for the Arm DSP extension; see the plain one for its weights.
 *
 * Two bytes are added to two 16-bit lanes at once. Lanes start at -128 per column and so end as the
 * sum of its weights, which fits 16 bits whatever spikes; they may wrap in between.
 */
#include "ef_kernels.h"
#include "ef_math.h"
#include "ef_word.h"

enum { HEAD = 20 }; /* words before a group's columns */

/* lanes + bytes 0 and 2 of word */
static inline uint32_t add_even(uint32_t lanes, uint32_t word) {
    __asm("uxtab16 %0, %0, %1" : "+r"(lanes) : "r"(word));
    return lanes;
}

/* lanes + bytes 1 and 3 of word */
static inline uint32_t add_odd(uint32_t lanes, uint32_t word) {
    __asm("uxtab16 %0, %0, %1, ror #8" : "+r"(lanes) : "r"(word));
    return lanes;
}

/* Columns that are 1, from the front, and those that are -1, from the back; [cols] in all. */
typedef struct {
    const uint16_t *added, *added_end, *subtracted, *subtracted_end;
} spike_list;

static spike_list list_spikes(const int16_t *x, unsigned cols, uint16_t *list) {
    uint16_t *add = list, *subtract = list + cols;
    unsigned i = 0;
    for (; i + 4 <= cols; i += 4) {
        const uint32_t first = ef_load2(x + i), second = ef_load2(x + i + 2);
        if (!(first | second))
            continue;
        if ((first | second) & 0x80008000u) {
            for (unsigned k = i; k < i + 4; k++) {
                if (x[k] > 0)
                    *add++ = (uint16_t)k;
                else if (x[k] < 0)
                    *--subtract = (uint16_t)k;
            }
        } else {
            /* each is written, and stays if it is a spike; there is a place for it */
            *add = (uint16_t)i;
            add += first & 0xffffu;
            *add = (uint16_t)(i + 1);
            add += first >> 16;
            *add = (uint16_t)(i + 2);
            add += second & 0xffffu;
            *add = (uint16_t)(i + 3);
            add += second >> 16;
        }
    }
    for (; i < cols; i++) {
        if (x[i] > 0)
            *add++ = (uint16_t)i;
        else if (x[i] < 0)
            *--subtract = (uint16_t)i;
    }
    const spike_list result = {list, add, subtract, list + cols};
    return result;
}

/* Sums of 8 rows, as pairs of lanes. */
typedef struct {
    uint32_t rows02, rows13, rows46, rows57;
} sums;

static inline sums sum_columns(const uint32_t *w, const uint16_t *list, const uint16_t *end) {
    const uint32_t *w1 = w + 1;
    const uint32_t start = (0u - 128u * (uint32_t)(end - list)) & 0xffffu;
    const uint32_t lanes = start << 16 | start;
    sums sum = {lanes, lanes, lanes, lanes};
    if ((end - list) & 1) {
        const unsigned column = 2u * *list++;
        sum.rows02 = add_even(sum.rows02, w[column]);
        sum.rows13 = add_odd(sum.rows13, w[column]);
        sum.rows46 = add_even(sum.rows46, w1[column]);
        sum.rows57 = add_odd(sum.rows57, w1[column]);
    }
    for (; list < end; list += 2) {
        const unsigned column = 2u * list[0], next = 2u * list[1];
        const uint32_t a = w[column], b = w1[column], c = w[next], d = w1[next];
        sum.rows02 = add_even(sum.rows02, a);
        sum.rows13 = add_odd(sum.rows13, a);
        sum.rows46 = add_even(sum.rows46, b);
        sum.rows57 = add_odd(sum.rows57, b);
        sum.rows02 = add_even(sum.rows02, c);
        sum.rows13 = add_odd(sum.rows13, c);
        sum.rows46 = add_even(sum.rows46, d);
        sum.rows57 = add_odd(sum.rows57, d);
    }
    return sum;
}

static inline uint32_t subtract_lanes(uint32_t a, uint32_t b) {
    uint32_t result;
    __asm("ssub16 %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
}

static inline void requantize2(const int32_t *bias, uint32_t lanes, unsigned shift, int16_t *y) {
    const int32_t *multiplier = bias + 8;
    y[0] = ef_requantize(bias[0] + ef_low(lanes), multiplier[0], shift);
    y[2] = ef_requantize(bias[2] + ef_high(lanes), multiplier[2], shift);
}

/* y where nothing spikes */
static inline void copy_silent(const uint32_t *w, int16_t *y) {
    for (unsigned i = 0; i < 4; i++)
        ef_store2(y + 2 * i, w[16 + i]);
}

/* y[0..7] */
static inline void add_rows(const uint32_t *w, const spike_list *list, unsigned shift, int16_t *y,
                            int mixed) {
    sums sum = sum_columns(w + HEAD, list->added, list->added_end);
    if (mixed) {
        const sums minus = sum_columns(w + HEAD, list->subtracted, list->subtracted_end);
        sum.rows02 = subtract_lanes(sum.rows02, minus.rows02);
        sum.rows13 = subtract_lanes(sum.rows13, minus.rows13);
        sum.rows46 = subtract_lanes(sum.rows46, minus.rows46);
        sum.rows57 = subtract_lanes(sum.rows57, minus.rows57);
    }
    const int32_t *bias = (const int32_t *)w;
    requantize2(bias, sum.rows02, shift, y);
    requantize2(bias + 1, sum.rows13, shift, y + 1);
    requantize2(bias + 4, sum.rows46, shift, y + 4);
    requantize2(bias + 5, sum.rows57, shift, y + 5);
}

static void add_mixed_rows(const uint32_t *w, const spike_list *list, unsigned shift, int16_t *y) {
    add_rows(w, list, shift, y, 1);
}

void ef_add_columns_s8_dsp(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    const unsigned rows = matrix->rows, cols = matrix->cols, shift = matrix->shift;
    const uint32_t *w = matrix->weights;
    uint16_t columns[cols];
    const spike_list list = list_spikes(x, cols, columns);
    const int mixed = list.subtracted != list.subtracted_end;
    const int silent = !mixed && list.added == list.added_end;
    for (unsigned left = rows; left; w += HEAD + 2 * cols) {
        const unsigned count = left < 8 ? left : 8;
        int16_t last[8], *to = count < 8 ? last : y;
        if (silent)
            copy_silent(w, to);
        else if (mixed)
            add_mixed_rows(w, &list, shift, to);
        else
            add_rows(w, &list, shift, to, 0);
        if (count < 8)
            memcpy(y, last, count * sizeof *y);
        y += count;
        left -= count;
    }
}

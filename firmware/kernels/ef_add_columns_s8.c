/*
 * Matrix-vector product for x in {-1, 0, 1}: columns of spikes are added (or subtracted), all
 * others not touched, so the work falls with the number of spikes.
 *
 * Weights: for each 8 rows, column after column, 8 bytes of w + 128, the first row in the lowest
 * byte of the first word. Bytes are summed in pairs, two 16-bit lanes a word: at most CHUNK * 255
 * a lane, so none runs over. Sums of chunks fit 32 bits in any order: Matrix proves it.
 */
#include "ef_kernels.h"
#include "ef_math.h"

enum { CHUNK = 128 }; /* columns whose spikes are listed at a time */

/* lanes + bytes 0 and 2 of word */
static inline uint32_t add_even(uint32_t lanes, uint32_t word) {
#if defined(__ARM_FEATURE_DSP)
    __asm("uxtab16 %0, %0, %1" : "+r"(lanes) : "r"(word));
    return lanes;
#else
    return lanes + (word & 0x00ff00ffu);
#endif
}

/* lanes + bytes 1 and 3 of word */
static inline uint32_t add_odd(uint32_t lanes, uint32_t word) {
#if defined(__ARM_FEATURE_DSP)
    __asm("uxtab16 %0, %0, %1, ror #8" : "+r"(lanes) : "r"(word));
    return lanes;
#else
    return lanes + ((word >> 8) & 0x00ff00ffu);
#endif
}

/* Columns of x[first..] that are 1, and those that are -1. */
typedef struct {
    unsigned added, subtracted;
    uint16_t add[CHUNK], subtract[CHUNK];
} spike_list;

static void list_spikes(const int16_t *x, unsigned first, unsigned count, spike_list *list) {
    uint16_t *add = list->add, *subtract = list->subtract;
    const int16_t *end = x + first + count;
    for (const int16_t *p = x + first; p < end; p++) {
        if (*p == 0)
            continue;
        if (*p > 0)
            *add++ = (uint16_t)(p - x);
        else
            *subtract++ = (uint16_t)(p - x);
    }
    list->added = (unsigned)(add - list->add);
    list->subtracted = (unsigned)(subtract - list->subtract);
}

static inline void unpack(int32_t *acc, uint32_t lanes, int32_t offset, int32_t sign) {
    acc[0] += sign * ((int32_t)(lanes & 0xffffu) - offset);
    acc[2] += sign * ((int32_t)(lanes >> 16) - offset);
}

/* acc[0..7] += sign * the listed columns */
static void add_columns(int32_t *acc, const uint32_t *w, const uint16_t *list, unsigned count,
                        int32_t sign) {
    uint32_t rows02 = 0, rows13 = 0, rows46 = 0, rows57 = 0;
    for (const uint16_t *end = list + count; list < end; list++) {
        const uint32_t *column = w + 2u * *list;
        rows02 = add_even(rows02, column[0]);
        rows13 = add_odd(rows13, column[0]);
        rows46 = add_even(rows46, column[1]);
        rows57 = add_odd(rows57, column[1]);
    }
    const int32_t offset = 128 * (int32_t)count;
    unpack(acc, rows02, offset, sign);
    unpack(acc + 1, rows13, offset, sign);
    unpack(acc + 4, rows46, offset, sign);
    unpack(acc + 5, rows57, offset, sign);
}

void ef_add_columns_s8(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    const unsigned rows = matrix->rows, cols = matrix->cols;
    const uint32_t *w = matrix->weights;
    spike_list list;
    for (unsigned first = 0; first < rows; first += 8, w += 2 * cols) {
        const unsigned rest = rows - first, count = rest < 8 ? rest : 8;
        int32_t acc[8];
        for (unsigned i = 0; i < 8; i++)
            acc[i] = i < count ? matrix->bias[first + i] : 0;
        for (unsigned start = 0; start < cols; start += CHUNK) {
            if (first == 0 || cols > CHUNK) {
                const unsigned left = cols - start, chunk = left < CHUNK ? left : CHUNK;
                list_spikes(x, start, chunk, &list);
            }
            if (list.added)
                add_columns(acc, w, list.add, list.added, 1);
            if (list.subtracted)
                add_columns(acc, w, list.subtract, list.subtracted, -1);
        }
        for (unsigned i = 0; i < count; i++)
            y[first + i] = ef_requantize(acc[i], matrix->multiplier[first + i], matrix->shift);
    }
}

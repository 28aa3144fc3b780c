/*
 * Matrix-vector product for x in {-1, 0, 1}: columns of spikes are added (or subtracted), all
 * others not touched, so the work falls with the number of spikes.
 *
 * Weights: for each 8 rows
 *   8 words     bias
 *   8 words     multipliers
 *   4 words     y where nothing spikes, the first row in the lower half
 *   2 words     for each column: bytes w + 128, the first row in the lowest byte
 * Bytes are summed in pairs, two 16-bit lanes per word: at most CHUNK * 255 per lane, so none
 * runs over. Sums of chunks fit 32 bits in any order: Matrix proves it.
 */
#include "ef_kernels.h"
#include "ef_math.h"

enum { CHUNK = 128, HEAD = 20 }; /* columns whose spikes are listed at a time; words before them */

/* Columns that are 1, from the front, and those that are -1, from the back. */
typedef struct {
    unsigned added, subtracted;
    uint8_t columns[CHUNK];
} spike_list;

static void list_spikes(const int16_t *x, unsigned count, spike_list *list) {
    uint8_t *add = list->columns, *subtract = list->columns + CHUNK;
    for (unsigned i = 0; i < count; i += 4) {
        if (!(x[i] | x[i + 1] | x[i + 2] | x[i + 3]))
            continue;
        for (unsigned k = i; k < i + 4 && k < count; k++) {
            if (x[k] > 0)
                *add++ = (uint8_t)k;
            else if (x[k] < 0)
                *--subtract = (uint8_t)k;
        }
    }
    list->added = (unsigned)(add - list->columns);
    list->subtracted = (unsigned)(list->columns + CHUNK - subtract);
}

static inline void unpack(int32_t *acc, uint32_t lanes, int32_t offset, int32_t sign) {
    acc[0] += sign * ((int32_t)(lanes & 0xffffu) - offset);
    acc[2] += sign * ((int32_t)(lanes >> 16) - offset);
}

/* acc[0..7] += sign * the listed columns */
static void add_columns(int32_t *acc, const EF_FLASH uint32_t *w, const uint8_t *list,
                        unsigned count, int32_t sign) {
    uint32_t rows02 = 0, rows13 = 0, rows46 = 0, rows57 = 0;
    for (const uint8_t *end = list + count; list < end; list++) {
        const EF_FLASH uint32_t *column = w + 2u * *list;
        const uint32_t first = column[0], second = column[1];
        rows02 += first & 0x00ff00ffu;
        rows13 += (first >> 8) & 0x00ff00ffu;
        rows46 += second & 0x00ff00ffu;
        rows57 += (second >> 8) & 0x00ff00ffu;
    }
    const int32_t offset = 128 * (int32_t)count;
    unpack(acc, rows02, offset, sign);
    unpack(acc + 1, rows13, offset, sign);
    unpack(acc + 4, rows46, offset, sign);
    unpack(acc + 5, rows57, offset, sign);
}

void ef_add_columns_s8(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    const unsigned rows = matrix->rows, cols = matrix->cols;
    const EF_FLASH uint32_t *w = matrix->weights;
    spike_list list;
    for (unsigned first = 0; first < rows; first += 8, w += HEAD + 2 * cols) {
        const unsigned rest = rows - first, count = rest < 8 ? rest : 8;
        int32_t acc[8];
        for (unsigned i = 0; i < 8; i++)
            acc[i] = (int32_t)w[i];
        for (unsigned start = 0; start < cols; start += CHUNK) {
            const EF_FLASH uint32_t *columns = w + HEAD + 2 * start;
            if (first == 0 || cols > CHUNK) {
                const unsigned left = cols - start;
                list_spikes(x + start, left < CHUNK ? left : CHUNK, &list);
            }
            if (list.added)
                add_columns(acc, columns, list.columns, list.added, 1);
            if (list.subtracted)
                add_columns(acc, columns, list.columns + CHUNK - list.subtracted, list.subtracted,
                            -1);
        }
        if (cols <= CHUNK && !list.added && !list.subtracted) {
            for (unsigned i = 0; i < count; i++)
                y[first + i] = (int16_t)(w[16 + i / 2] >> (i % 2 * 16));
        } else {
            for (unsigned i = 0; i < count; i++)
                y[first + i] = ef_requantize(acc[i], (int32_t)w[8 + i], matrix->shift);
        }
    }
}

/*
 * Delta matrix-vector product, int8 weights, any x. 20 instructions for 16 rows of two columns.
 *
 * Weights, int8 as words: multipliers that hold the shift, then for each column its rows; memory:
 * sums, at first the biases, then x_hat. Rows are rounded up to a multiple of 16 and, of each 8, go
 * in the order 0 2 4 6 1 3 5 7, which VQMOVNB and VQMOVNT put right.
 */
#include "ef_delta_mve.h"
#include "ef_hold.h"
#include "ef_kernels.h"
#include "ef_math.h"

enum { LISTED = 32 }; /* columns on the stack; even */

typedef struct {
    int32x4_t a, b, c, d;
} sums16;

/* vldrb.s32 of 4 rows, times a change; GCC writes eight addresses instead of one */
#define COLUMN(column, change)                                                                     \
    "add " #column ", %[row]\n\t"                                                                  \
    "vldrb.s32 q4, [" #column "]\n\t"                                                              \
    "vmla.s32 %q[a], q4, " #change "\n\t"                                                          \
    "vldrb.s32 q5, [" #column ", #4]\n\t"                                                          \
    "vmla.s32 %q[b], q5, " #change "\n\t"                                                          \
    "vldrb.s32 q4, [" #column ", #8]\n\t"                                                          \
    "vmla.s32 %q[c], q4, " #change "\n\t"                                                          \
    "vldrb.s32 q5, [" #column ", #12]\n\t"                                                         \
    "vmla.s32 %q[d], q5, " #change "\n\t"

/* Returns 16 sums with the listed columns added; those are even in number. */
static inline sums16 add_columns(const int32_t *sums, unsigned row, const ef_change *list,
                                 const ef_change *end) {
    sums16 s = {vldrwq_s32(sums), vldrwq_s32(sums + 4), vldrwq_s32(sums + 8),
                vldrwq_s32(sums + 12)};
    const unsigned pairs = (unsigned)(end - list) >> 1;
    __asm volatile("wls lr, %[pairs], 2f\n\t"
                   "1:\n\t"
                   "ldmia.w %[list]!, {r0-r3}\n\t" COLUMN(r0, r1) COLUMN(r2, r3) "le lr, 1b\n\t"
                                                                                 "2:"
                   : [a] "+w"(s.a), [b] "+w"(s.b), [c] "+w"(s.c), [d] "+w"(s.d), [list] "+r"(list)
                   : [row] "r"(row), [pairs] "r"(pairs)
                   : "r0", "r1", "r2", "r3", "lr", "q4", "q5", "memory");
    return s;
}

static inline void store_sums(int32_t *to, const sums16 *sums) {
    vstrwq_s32(to, sums->a);
    vstrwq_s32(to + 4, sums->b);
    vstrwq_s32(to + 8, sums->c);
    vstrwq_s32(to + 12, sums->d);
}

typedef struct {
    const int8_t *columns;
    int32_t *sums;
    int16_t *held;
    unsigned padded; /* rows */
} delta;

static ef_change *flush(const delta *m, ef_change *list, const ef_change *end) {
    for (unsigned row = 0; row < m->padded; row += 16) {
        const sums16 sums = add_columns(m->sums + row, row, list, end);
        store_sums(m->sums + row, &sums);
    }
    return list;
}

/* Lists column i. */
static inline ef_change *push(const delta *m, const int16_t *x, unsigned i, ef_change *list,
                              ef_change *end) {
    end->column = m->columns + i * m->padded;
    end->change = x[i] - m->held[i];
    m->held[i] = x[i];
    end++;
    return end == list + LISTED ? flush(m, list, end) : end;
}

void ef_delta_matvec_s8_s16_mve(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    const unsigned cols = matrix->cols, group = matrix->group, threshold = matrix->threshold;
    const unsigned padded = (matrix->rows + 15u) & ~15u;
    const int32_t *multiplier = matrix->weights;
    int32_t *sums = EF_MEMORY(matrix, x);
    const delta m = {(const int8_t *)(multiplier + padded), sums, (int16_t *)(sums + padded),
                     padded};
    ef_change list[LISTED], *end = list;
    if (ef_groups_in_eight(group)) {
        for (unsigned i = 0; i < cols; i += 8) {
            unsigned lanes = ef_fired_lanes(x + i, m.held + i, cols - i, threshold, group);
            for (; lanes; lanes &= lanes - 1)
                end = push(&m, x, i + ((unsigned)__builtin_ctz(lanes) >> 1), list, end);
        }
    } else {
        for (unsigned first = 0; first < cols; first += group) {
            const unsigned count = cols - first < group ? cols - first : group;
            if (!ef_fires(x + first, m.held + first, count, (int32_t)threshold))
                continue;
            for (unsigned i = first; i < first + count; i++)
                end = push(&m, x, i, list, end);
        }
    }
    if ((end - list) & 1) {
        end->column = m.columns;
        end->change = 0;
        end++;
    }
    unsigned left = matrix->rows;
    for (unsigned row = 0; row < padded; row += 16) {
        const sums16 now = add_columns(sums + row, row, list, end);
        store_sums(sums + row, &now);
        const int16x8_t low = ef_requantize8(now.a, now.b, multiplier + row);
        const int16x8_t high = ef_requantize8(now.c, now.d, multiplier + row + 8);
        if (left >= 16) {
            vstrhq_s16(y + row, low);
            vstrhq_s16(y + row + 8, high);
        } else {
            vstrhq_p_s16(y + row, low, vctp16q(left));
            if (left > 8)
                vstrhq_p_s16(y + row + 8, high, vctp16q(left - 8));
        }
        left -= 16;
    }
}

/*
 * Delta matrix-vector product of a block-sparse matrix, int8 weights, any x. 20 instructions for
 * two blocks of 8 rows x 1 column.
 *
 * Weights, int8 as words: multipliers that hold the shift, [rows rounded up to a multiple of 8];
 * for each column a word, the bytes from there to its blocks. These are the number of items, a
 * word, and the items: two offsets of sums in bytes, halfwords; the weights of two blocks. Memory:
 * sums, at first the biases, then x_hat. Of each 8, rows go in the order 0 2 4 6 1 3 5 7.
 */
#include "ef_delta_mve.h"
#include "ef_hold.h"
#include "ef_kernels.h"
#include "ef_math.h"

typedef struct {
    const uint32_t *entries;
    int32_t *sums;
    int16_t *held;
} sparse;

/* 8 rows at their offset in r2, times the change; GCC writes more addresses */
#define BLOCK(offset)                                                                              \
    "uxtah r3, %[sums], " offset "\n\t"                                                            \
    "vldrw.u32 q0, [r3]\n\t"                                                                       \
    "vldrb.s32 q2, [%[block]], #4\n\t"                                                             \
    "vmla.s32 q0, q2, %[change]\n\t"                                                               \
    "vldrw.u32 q1, [r3, #16]\n\t"                                                                  \
    "vldrb.s32 q3, [%[block]], #4\n\t"                                                             \
    "vmla.s32 q1, q3, %[change]\n\t"                                                               \
    "vstrw.32 q0, [r3]\n\t"                                                                        \
    "vstrw.32 q1, [r3, #16]\n\t"

/* Adds column i to the sums; its entry tells where its blocks are. */
static inline void add_column(const sparse *m, const int16_t *x, unsigned i) {
    const void *block = (const int8_t *)(m->entries + i) + m->entries[i];
    const unsigned items = *(const uint32_t *)block;
    const int32_t change = x[i] - m->held[i];
    m->held[i] = x[i];
    block = (const uint32_t *)block + 1;
    __asm volatile("wls lr, %[items], 2f\n\t"
                   "1:\n\t"
                   "ldr r2, [%[block]], #4\n\t" BLOCK("r2") BLOCK("r2, ror #16") "le lr, 1b\n\t"
                                                                                 "2:"
                   : [block] "+r"(block)
                   : [sums] "r"(m->sums), [items] "r"(items), [change] "r"(change)
                   : "r2", "r3", "lr", "q0", "q1", "q2", "q3", "memory");
}

/* Requantizes whole eights, then the rest; GCC writes more addresses. */
static inline void requantize_rows(const int32_t *sums, const int32_t *multiplier, unsigned rows,
                                   int16_t *y) {
    const unsigned eights = rows >> 3, rest = rows & 7u;
    __asm volatile("wls lr, %[eights], 2f\n\t"
                   "1:\n\t"
                   "vldrw.32 q0, [%[sums]], #16\n\t"
                   "vldrw.32 q2, [%[multiplier]], #16\n\t"
                   "vqrdmulh.s32 q0, q0, q2\n\t"
                   "vldrw.32 q1, [%[sums]], #16\n\t"
                   "vldrw.32 q3, [%[multiplier]], #16\n\t"
                   "vqrdmulh.s32 q1, q1, q3\n\t"
                   "vqmovnb.s32 q0, q0\n\t"
                   "vqmovnt.s32 q0, q1\n\t"
                   "vstrh.16 q0, [%[y]], #16\n\t"
                   "le lr, 1b\n\t"
                   "2:"
                   : [sums] "+r"(sums), [multiplier] "+r"(multiplier), [y] "+r"(y)
                   : [eights] "r"(eights)
                   : "lr", "q0", "q1", "q2", "q3", "memory");
    if (rest)
        vstrhq_p_s16(y, ef_requantize8(vldrwq_s32(sums), vldrwq_s32(sums + 4), multiplier),
                     vctp16q(rest));
}

void ef_delta_matvec_sparse_8x1_s8_s16_mve(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    const unsigned rows = matrix->rows, cols = matrix->cols;
    const unsigned group = matrix->group, threshold = matrix->threshold;
    const unsigned padded = (rows + 7u) & ~7u;
    const int32_t *multiplier = matrix->weights;
    int32_t *sums = EF_MEMORY(matrix, x);
    const sparse m = {(const uint32_t *)(multiplier + padded), sums, (int16_t *)(sums + padded)};
    if (ef_groups_in_eight(group)) {
        for (unsigned i = 0; i < cols; i += 8) {
            unsigned lanes = ef_fired_lanes(x + i, m.held + i, cols - i, threshold, group);
            for (; lanes; lanes &= lanes - 1)
                add_column(&m, x, i + ((unsigned)__builtin_ctz(lanes) >> 1));
        }
    } else {
        for (unsigned first = 0; first < cols; first += group) {
            const unsigned count = cols - first < group ? cols - first : group;
            if (ef_fires(x + first, m.held + first, count, (int32_t)threshold))
                for (unsigned i = first; i < first + count; i++)
                    add_column(&m, x, i);
        }
    }
    requantize_rows(sums, multiplier, rows, y);
}

/* ef_hold_matvec for the Arm DSP extension: two columns at a time in groups of one. */
#include "ef_hold.h"
#include "ef_kernels.h"
#include "ef_math.h"
#include "ef_math_dsp.h"

/* held where |x - held| < threshold, else x, of two; least is threshold - 1 twice */
static inline uint32_t hold_pair(uint32_t x, uint32_t held, uint32_t least) {
    /* as unsigned halfwords, differences plus least are above 2 least where x replaces held */
    const uint32_t moved = ef_sadd16(ef_qsub16(x, held), least);
    uint32_t result;
    __asm("usub16 %0, %1, %2\n\t"
          "sel %0, %3, %4"
          : "=&r"(result)
          : "r"(2u * least), "r"(moved), "r"(held), "r"(x)
          : "cc");
    return result;
}

void ef_hold_matvec(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    const ef_matrix *dense = matrix->weights;
    int16_t *held = EF_MEMORY(matrix, x);
    if (matrix->group == 1 && matrix->threshold <= 32767) {
        const uint32_t least = (matrix->threshold - 1u) * 0x10001u;
        for (unsigned i = 0; i < matrix->cols; i += 4) { /* both have room for whole fours */
            ef_store2(held + i, hold_pair(ef_load2(x + i), ef_load2(held + i), least));
            ef_store2(held + i + 2, hold_pair(ef_load2(x + i + 2), ef_load2(held + i + 2), least));
        }
    } else {
        ef_hold(matrix, x, held);
    }
    dense->matvec(dense, held, y);
}

/* One step of a Legendre memory; see ../ef_legendre_step.c. */
#include "ef_kernels.h"
#include "ef_math.h"
#include "ef_math_mve.h"

void ef_legendre_step(const ef_legendre *memory, int32_t u, int32_t *m, int16_t *scratch) {
    const int order = (int)memory->order;
    const int32_t fraction = (int32_t)memory->fraction;
    const int32_t limit = (int32_t)32767 << fraction;
    const int16_t *row = memory->transition;
    for (int i = 0; i < order; i += 4) {
        const mve_pred16_t some = vctp32q((uint32_t)(order - i));
        vstrhq_p_s32(scratch + i, vrshlq_n_s32(vldrwq_z_s32(m + i, some), -fraction), some);
    }
    /* the last high parts stay in a register; lanes behind them are 0 */
    const int whole = (order - 1) & ~7;
    const mve_pred16_t some = vctp16q((uint32_t)(order - whole));
    const int16x8_t last = vldrhq_z_s16(scratch + whole, some);
    for (int i = 0; i < order; i++) {
        const int32_t shift = memory->shift[i]; /* 1..30 */
        int32_t sum = memory->drive[i] * u;
        for (int k = 0; k < whole; k += 8, row += 8)
            sum = vmladavaq_s16(sum, vldrhq_s16(row), vldrhq_s16(scratch + k));
        sum = vmladavaq_s16(sum, vldrhq_z_s16(row, some), last);
        row += order - whole;
        /* the sum's half is rounded up in two steps; both terms of m are below 2^30 */
        m[i] = ef_clip(m[i] + (((sum >> (shift - 1)) + 1) >> 1), -limit, limit);
    }
}

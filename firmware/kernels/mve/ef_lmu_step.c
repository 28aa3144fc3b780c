/* LMU cell; see ../ef_lmu_step.c. */
#include <string.h>

#include "ef_kernels.h"
#include "ef_math.h"
#include "ef_math_mve.h"

/* Writes matrix x to the end of y [rows], zeros to the rows that the matrix leaves out. */
static void product(const ef_matrix *matrix, const int16_t *x, int16_t *y, unsigned rows) {
    const unsigned missing = rows - matrix->rows;
    memset(y, 0, missing * sizeof *y);
    matrix->matvec(matrix, x, y + missing);
}

void ef_lmu_step(const ef_lmu *lmu, const int16_t *x, int16_t *h, int32_t *m, int16_t *v,
                 int16_t *scratch) {
    const unsigned size = lmu->memory_size, order = lmu->order, rows = size + lmu->hidden;
    const ef_legendre memory = {lmu->transition, lmu->drive, lmu->shift, order, lmu->fraction};
    const int32_t read_limit = ((int32_t)1 << (lmu->read_bits - 1u)) - 1;
    const int32_t limit = ((int32_t)1 << (lmu->state_bits - 1u)) - 1;
    const int hidden = lmu->hidden, values = (int)(size * order);
    int16_t *read = scratch; /* the memory as its matrix reads it */
    int16_t *work = read + ef_round_up(size * order);
    int16_t *a = work + ef_round_up(order); /* input part: rows of u, then of h in Q3.12 */
    int16_t *r = a + rows;                  /* recurrent part */
    int16_t *c = r + rows;                  /* memory's part */
    lmu->input->matvec(lmu->input, x, a);
    product(lmu->recurrent, h, r, rows);
    for (unsigned k = 0; k < size; k++)
        ef_legendre_step(&memory, ef_sat16(a[k] + r[k] + v[k]), m + k * order, work);
    for (int i = 0; i < values; i += 4) {
        const mve_pred16_t some = vctp32q((uint32_t)(values - i));
        int32x4_t value = vldrwq_z_s32(m + i, some);
        vstrhq_p_s32(read + i, ef_narrow_x4(value, lmu->read_shift, read_limit), some);
    }
    product(lmu->memory, read, c, rows);
    memcpy(v, c, size * sizeof *v);
    a += size;
    r += size;
    c += size;
    for (int i = 0; i < hidden; i += 4) {
        const mve_pred16_t some = vctp32q((uint32_t)(hidden - i));
        int32x4_t drive = vaddq_s32(vldrhq_z_s32(a + i, some), vldrhq_z_s32(r + i, some));
        drive = ef_sat16_x4(vaddq_s32(drive, vldrhq_z_s32(c + i, some)));
        int32x4_t value = ef_lookup_x4(ef_table_tanh, drive);
        vstrhq_p_s32(h + i, ef_narrow_x4(value, 16 - lmu->state_bits, limit), some);
    }
}

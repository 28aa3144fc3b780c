/* LMU cell; see edgeflow/program/nodes/lmu.py. */
#include <string.h>

#include "ef_kernels.h"
#include "ef_math.h"

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
    int16_t *read = scratch; /* the memory as its matrix reads it */
    int16_t *work = read + ef_round_up(size * order);
    int16_t *a = work + ef_round_up(order); /* input part: rows of u, then of h in Q3.12 */
    int16_t *r = a + rows;                  /* recurrent part */
    int16_t *c = r + rows;                  /* memory's part */
    lmu->input->matvec(lmu->input, x, a);
    product(lmu->recurrent, h, r, rows);
    for (unsigned k = 0; k < size; k++) {
        int32_t *value = m + k * order;
        ef_legendre_step(&memory, ef_sat16((int32_t)a[k] + r[k] + v[k]), value, work);
        for (unsigned i = 0; i < order; i++)
            read[k * order + i] = ef_narrow(value[i], lmu->read_shift, lmu->read_bits);
    }
    product(lmu->memory, read, c, rows);
    memcpy(v, c, size * sizeof *v);
    for (unsigned i = 0; i < lmu->hidden; i++) {
        const int32_t drive = (int32_t)a[size + i] + r[size + i] + c[size + i];
        const int32_t value = ef_lookup(ef_table_tanh, ef_sat16(drive));
        h[i] = ef_narrow(2 * value, 17u - lmu->state_bits, lmu->state_bits);
    }
}

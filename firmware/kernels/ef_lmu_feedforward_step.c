/* LMU without weights on the state; see edgeflow/program/nodes/lmu.py. */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_lmu_feedforward_step(const ef_lmu_feedforward *lmu, const int16_t *x, int32_t *m,
                             int16_t *y, int16_t *scratch) {
    const unsigned size = lmu->memory_size, order = lmu->order, outputs = lmu->outputs;
    const ef_legendre memory = {lmu->transition, lmu->drive, lmu->shift, order, lmu->fraction};
    int16_t *read = scratch; /* the memory as its matrix reads it */
    int16_t *work = read + ef_round_up(size * order);
    int16_t *a = work + ef_round_up(order); /* input part: u, then the outputs' in Q3.12 */
    int16_t *c = a + size + outputs;        /* memory's part */
    lmu->input->matvec(lmu->input, x, a);
    for (unsigned k = 0; k < size; k++) {
        int32_t *value = m + k * order;
        ef_legendre_step(&memory, a[k], value, work);
        for (unsigned i = 0; i < order; i++)
            read[k * order + i] = ef_narrow(value[i], lmu->read_shift, lmu->read_bits);
    }
    lmu->memory->matvec(lmu->memory, read, c);
    for (unsigned i = 0; i < outputs; i++) {
        const int32_t value = ef_lookup(ef_table_tanh, ef_sat16((int32_t)a[size + i] + c[i]));
        y[i] = ef_narrow(2 * value, 17u - lmu->state_bits, lmu->state_bits);
    }
}

/* Sum of branches; see edgeflow/program/nodes/add.py. */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_add_step(const ef_add *add, const int16_t *x, int16_t *y) {
    const unsigned size = add->size, all = size * add->branches;
    for (unsigned i = 0; i < size; i++) {
        int32_t sum = add->bias[i];
        for (unsigned k = i; k < all; k += size)
            sum += (int32_t)add->gain[k] * x[k];
        y[i] = ef_narrow(sum, add->shift, add->state_bits);
    }
}

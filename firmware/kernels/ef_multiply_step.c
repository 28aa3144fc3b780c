/* Product of two branches, value by value; see edgeflow/program/nodes/multiply.py. */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_multiply_step(const ef_multiply *product, const int16_t *x, int16_t *y) {
    const unsigned size = product->size;
    const int32_t limit = ((int32_t)1 << (product->state_bits - 1u)) - 1;
    for (unsigned i = 0; i < size; i++) {
        const int32_t both = (int32_t)x[i] * x[size + i];
        y[i] =
            (int16_t)ef_clip(ef_multiply_high_round(both, product->multiplier[i]), -limit, limit);
    }
}

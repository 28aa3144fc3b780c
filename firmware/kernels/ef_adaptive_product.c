/* The product of learned rows; see edgeflow/program/nodes/adaptive_linear.py. */
#include <string.h>

#include "ef_kernels.h"
#include "ef_math.h"

void ef_adaptive_product(const ef_adaptive *cell, const int16_t *x, const int32_t *bias,
                         const int16_t *weights, int16_t *y) {
    const unsigned inputs = cell->inputs;
    for (unsigned i = 0; i < cell->outputs; i++, weights += inputs) {
        int32_t sum = bias[i];
        unsigned j = 0;
#if defined(__ARM_FEATURE_DSP)
        for (; j + 4 <= inputs; j += 4) {
            uint32_t w[2], v[2];
            memcpy(w, weights + j, sizeof w);
            memcpy(v, x + j, sizeof v);
            sum = ef_dual_mac(w[1], v[1], ef_dual_mac(w[0], v[0], sum));
        }
#endif
        for (; j < inputs; j++)
            sum += (int32_t)weights[j] * x[j];
        y[i] = ef_requantize(sum, cell->multiplier, 1);
    }
}

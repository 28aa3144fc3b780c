/* Rectification; see edgeflow/program/nodes/relu.py. */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_relu_s16(const int16_t *x, int16_t *y, unsigned size, unsigned shift, int32_t limit) {
    const int32_t half = ((int32_t)1 << shift) >> 1;
    for (unsigned i = 0; i < size; i++)
        y[i] = (int16_t)ef_clip((x[i] + half) >> shift, 0, limit);
}

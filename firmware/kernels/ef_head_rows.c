/* Loops over a row of masters; see edgeflow/program/nodes/head_linear.py. */
#include "ef_kernels.h"
#include "ef_math.h"

int32_t ef_head_product(const int32_t *masters, const int16_t *x, unsigned inputs, int32_t sum) {
    for (unsigned j = 0; j < inputs; j++)
        sum += (masters[j] >> 16) * x[j];
    return sum;
}

void ef_head_move(int32_t *masters, const int16_t *x, unsigned inputs, int32_t move,
                  int32_t limit) {
    for (unsigned j = 0; j < inputs; j++)
        masters[j] = ef_clip(masters[j] - move * x[j], -limit, limit);
}

/* Keeps inputs within the width that the overflow proof assumed. */
#include "ef_kernels.h"
#include "ef_math.h"

void a_ef_clamp_s16(const int16_t *x, int16_t *y, unsigned size, int32_t limit) {
    for (unsigned i = 0; i < size; i++)
        y[i] = (int16_t)a_ef_clip(x[i], -limit, limit);
}

/* The products of a CfC cell, element-wise steps on two values at a time. */
#include "ef_kernels.h"
#include "ef_math_dsp.h"

int16_t *ef_cfc_backbone(const ef_cfc *cfc, const int16_t *x, const int16_t *h, int16_t *scratch) {
    const ef_matrix *deeper[3] = {cfc->second, cfc->third, cfc->heads};
    const unsigned down = 17u - cfc->backbone_bits;
    const int32_t half = (int32_t)1 << (down - 1u);
    const ef_limits limits = ef_limits_of(cfc->backbone_bits);
    const ef_interpolation constants = ef_interpolation_of();
    const int16_t *tanh = ef_table_tanh + 128;
    unsigned rows = cfc->input->rows;
    int16_t *v = scratch; /* both parts have room for a multiple of 4 values */
    int16_t *other = scratch + cfc->buffer;
    cfc->input->matvec(cfc->input, x, v);
    cfc->recurrent->matvec(cfc->recurrent, h, other);
    for (unsigned i = 0; i < rows; i += 2)
        ef_store2(v + i, ef_qadd16(ef_load2(v + i), ef_load2(other + i)));
    for (unsigned layer = 0; layer < 3; layer++) {
        const ef_matrix *matrix = deeper[layer];
        if (!matrix)
            continue;
        for (int16_t *p = v, *end = v + rows; p < end; p += 2) {
            int32_t y0, y1;
            ef_lookup_pair(tanh, ef_load2(p), constants, &y0, &y1);
            y0 = (2 * (y0 >> 8) + half) >> down;
            y1 = (2 * (y1 >> 8) + half) >> down;
            ef_store2(p, ef_clip_pair(ef_pack(y0, y1), limits));
        }
        matrix->matvec(matrix, v, other);
        int16_t *swap = v;
        v = other;
        other = swap;
        rows = matrix->rows;
    }
    return v;
}

/* The products of a CfC cell; see edgeflow/program/nodes/cfc.py. */
#include "ef_kernels.h"
#include "ef_math.h"

int16_t *ef_cfc_backbone(const ef_cfc *cfc, const int16_t *x, const int16_t *h, int16_t *scratch) {
    const ef_matrix *deeper[3] = {cfc->second, cfc->third, cfc->heads};
    const unsigned down = 17u - cfc->backbone_bits;
    const int32_t half = (int32_t)1 << (down - 1u);
    const int32_t limit = ((int32_t)1 << (cfc->backbone_bits - 1u)) - 1;
    unsigned rows = cfc->input->rows;
    int16_t *v = scratch;
    int16_t *other = scratch + cfc->buffer;
    cfc->input->matvec(cfc->input, x, v);
    cfc->recurrent->matvec(cfc->recurrent, h, other);
    for (unsigned i = 0; i < rows; i++)
        v[i] = (int16_t)ef_sat16((int32_t)v[i] + other[i]);
    for (unsigned layer = 0; layer < 3; layer++) {
        const ef_matrix *matrix = deeper[layer];
        if (!matrix)
            continue;
        for (unsigned i = 0; i < rows; i++) {
            int32_t wide = 2 * ef_lookup(ef_table_tanh, v[i]);
            v[i] = (int16_t)ef_clip((wide + half) >> down, -limit, limit);
        }
        matrix->matvec(matrix, v, other);
        int16_t *swap = v;
        v = other;
        other = swap;
        rows = matrix->rows;
    }
    return v;
}

/* The products of a CfC cell; see ../ef_cfc_backbone.c. */
#include "ef_kernels.h"
#include "ef_math_mve.h"

int16_t *ef_cfc_backbone(const ef_cfc *cfc, const int16_t *x, const int16_t *h, int16_t *scratch) {
    const ef_matrix *deeper[3] = {cfc->second, cfc->third, cfc->heads};
    const int32_t down = 16 - cfc->backbone_bits;
    const int32_t limit = ((int32_t)1 << (cfc->backbone_bits - 1u)) - 1;
    int rows = cfc->input->rows;
    int16_t *v = scratch;
    int16_t *other = scratch + cfc->buffer;
    cfc->input->matvec(cfc->input, x, v);
    cfc->recurrent->matvec(cfc->recurrent, h, other);
    for (int i = 0; i < rows; i += 8) {
        const mve_pred16_t some = vctp16q((uint32_t)(rows - i));
        int16x8_t sum = vqaddq_s16(vldrhq_z_s16(v + i, some), vldrhq_z_s16(other + i, some));
        vstrhq_p_s16(v + i, sum, some);
    }
    for (unsigned layer = 0; layer < 3; layer++) {
        const ef_matrix *matrix = deeper[layer];
        if (!matrix)
            continue;
        for (int i = 0; i < rows; i += 4) {
            const mve_pred16_t some = vctp32q((uint32_t)(rows - i));
            int32x4_t value = ef_lookup_x4(ef_table_tanh, vldrhq_z_s32(v + i, some));
            vstrhq_p_s32(v + i, ef_narrow_x4(value, down, limit), some);
        }
        matrix->matvec(matrix, v, other);
        int16_t *swap = v;
        v = other;
        other = swap;
        rows = matrix->rows;
    }
    return v;
}

/* Layer of integrate-and-fire neurons, four at a time; see ../ef_lif.h. */
#include "ef_kernels.h"
#include "ef_math_mve.h"

void ef_lif_step(const ef_lif *lif, const int16_t *x, int16_t *j, int16_t *u, int16_t *s,
                 int16_t *scratch) {
    const int hidden = lif->hidden;
    const unsigned reset = lif->reset;
    const int32x4_t zero = vdupq_n_s32(0), one = vdupq_n_s32(1);
    int16_t *current = scratch, *fed_back = 0;
    lif->input->matvec(lif->input, x, current);
    if (lif->recurrent) {
        fed_back = scratch + hidden;
        lif->recurrent->matvec(lif->recurrent, s, fed_back);
    }
    for (int k = 0; k < hidden; k += 4) {
        const mve_pred16_t some = vctp32q((uint32_t)(hidden - k));
        int32x4_t in = vldrhq_z_s32(current + k, some);
        if (fed_back)
            in = vaddq_s32(in, vldrhq_z_s32(fed_back + k, some));
        if (j) {
            int32x4_t kept =
                ef_scale_x4(vldrhq_z_s32(j + k, some), vldrhq_z_s32(lif->alpha + k, some));
            in = ef_sat16_x4(vaddq_s32(in, kept));
            vstrhq_p_s32(j + k, in, some);
        }
        const int32x4_t threshold = vldrhq_z_s32(lif->threshold + k, some);
        const int32x4_t spikes = vldrhq_z_s32(s + k, some);
        const mve_pred16_t spiked = vcmpneq_n_s32(spikes, 0);
        int32x4_t v = ef_scale_x4(vldrhq_z_s32(u + k, some), vldrhq_z_s32(lif->beta + k, some));
        if (reset == EF_LIF_SUBTRACT)
            v = vsubq_s32(v, vmulq_s32(spikes, threshold));
        else
            v = vpselq_s32(zero, v, spiked);
        v = ef_sat16_x4(vaddq_s32(v, in));
        if (reset == EF_LIF_REFRACTORY)
            v = vpselq_s32(zero, v, spiked);
        vstrhq_p_s32(u + k, v, some);
        vstrhq_p_s32(s + k, vpselq_s32(one, zero, vcmpgtq_s32(v, threshold)), some);
    }
}

/* Two linear layers around a rectification; see edgeflow/program/nodes/channel_mixer.py. */
#include "ef_kernels.h"
#include "ef_math.h"

void ef_channel_mixer_step(const ef_channel_mixer *mixer, const int16_t *x, int16_t *y,
                           int16_t *scratch) {
    int16_t *hidden = scratch;
    int16_t *branch = scratch + ef_round_up(mixer->hidden);
    const int32_t unit = (int32_t)1 << (mixer->state_bits - 1u);
    const int32_t top = ((int32_t)1 << (mixer->hidden_bits - 1u)) - 1;
    mixer->up->matvec(mixer->up, x, hidden);
    ef_relu_s16(hidden, hidden, mixer->hidden, 0, top);
    mixer->down->matvec(mixer->down, hidden, branch);
    for (unsigned i = 0; i < mixer->size; i++) {
        /* both products are at most 2^30, the one of skip at least 2^15 below it */
        const int32_t sum = (int32_t)mixer->skip[i] * x[i] + branch[i] * unit;
        y[i] = (int16_t)ef_clip((sum + ((int32_t)1 << 14)) >> 15, 1 - unit, unit - 1);
    }
}

/* New samples of a frame of sound, and its window; see edgeflow/program/nodes/log_mel.py. */
#include <string.h>

#include "ef_kernels.h"

void ef_window_frame(const ef_log_mel *cell, const int16_t *x, int16_t *frame, int32_t *z) {
    const unsigned size = cell->size, hop = cell->hop;
    memmove(frame, frame + hop, (size - hop) * sizeof *frame);
    memcpy(frame + size - hop, x, hop * sizeof *frame);
    for (unsigned i = 0; i < size / 2; i++) {
        const unsigned at = 2u * (unsigned)cell->order[i];
        z[2 * i] = ((int32_t)frame[at] * cell->window[at]) >> 7;
        z[2 * i + 1] = ((int32_t)frame[at + 1] * cell->window[at + 1]) >> 7;
    }
}

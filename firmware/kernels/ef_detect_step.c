/* Events in a stream of scores; see edgeflow/program/nodes/detect.py. */
#include <string.h>

#include "ef_kernels.h"
#include "ef_math.h"

void ef_detect_step(const ef_detect *cell, const int16_t *x, int32_t *mean, int16_t *past,
                    int16_t *fired, int16_t *wait, int16_t *y) {
    const unsigned size = cell->size, others = (cell->steps - 1u) * size;
    int16_t *flags = past + others; /* those of the last step, until they are replaced */
    int32_t first = -32768, second = -32768, best = -65536;
    for (unsigned i = 0; i < size && cell->relative; i++) {
        second = x[i] > first ? first : x[i] > second ? x[i] : second;
        first = x[i] > first ? x[i] : first;
    }
    memmove(past, past + size, others * sizeof *past);
    for (unsigned i = 0; i < size; i++) {
        int32_t score = x[i];
        if (cell->relative)
            score = ef_sat16(score - (score >= first ? second : first));
        mean[i] += (score * 32768 - mean[i]) >> cell->shift;
        score = mean[i] >> 15;
        flags[i] = score > (flags[i] ? cell->low[i] : cell->high[i]);
        unsigned count = 0;
        for (unsigned k = i; k <= others + i; k += size)
            count += (unsigned)past[k];
        const int clear = count >= cell->needed;
        fired[i] = (int16_t)(clear && fired[i]);
        y[i] = (int16_t)(clear && !fired[i] && *wait == 0);
        if (y[i] && score > best)
            best = score;
    }
    *wait = (int16_t)(*wait > 0 ? *wait - 1 : 0);
    for (unsigned i = 0; i < size; i++) {
        y[i] = (int16_t)(y[i] && mean[i] >> 15 == best);
        if (y[i]) {
            fired[i] = 1;
            *wait = (int16_t)cell->refractory;
        }
    }
}

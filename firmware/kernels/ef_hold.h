/* Which columns of a delta matrix fire. */
#ifndef EF_HOLD_H
#define EF_HOLD_H

#include <stdint.h>

/* Tells whether any of x[0..count-1] is away from what is held. */
static inline int ef_fires(const int16_t *x, const int16_t *held, unsigned count,
                           int32_t threshold) {
    for (unsigned i = 0; i < count; i++) {
        const int32_t delta = x[i] - held[i];
        if (delta >= threshold || -delta >= threshold)
            return 1;
    }
    return 0;
}

#endif

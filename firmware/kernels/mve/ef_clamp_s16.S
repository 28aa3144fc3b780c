/* Keeps inputs within the width that the overflow proof assumed. */
#include "ef_cells_mve.inc"

/* void ef_clamp_s16(const int16_t *x, int16_t *y, unsigned size, int32_t limit) */
    FUNCTION ef_clamp_s16
    push {r7, lr}
    vdup.16 q1, r3
    vneg.s16 q2, q1
    dlstp.16 lr, r2
1:  vldrh.16 q0, [r0], #16
    vmin.s16 q0, q0, q1
    vmax.s16 q0, q0, q2
    vstrh.16 q0, [r1], #16
    letp lr, 1b
    pop {r7, pc}
    END ef_clamp_s16

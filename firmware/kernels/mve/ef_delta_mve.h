/* Common part of the delta kernels for Helium. */
#ifndef EF_DELTA_MVE_H
#define EF_DELTA_MVE_H

#include <arm_mve.h>

/* Requantizes rows in the order 0 2 4 6 and 1 3 5 7; multipliers hold the shift. */
static inline int16x8_t ef_requantize8(int32x4_t even, int32x4_t odd, const int32_t *multiplier) {
    even = vqrdmulhq_s32(even, vldrwq_s32(multiplier));
    odd = vqrdmulhq_s32(odd, vldrwq_s32(multiplier + 4));
    return vqmovntq_s32(vqmovnbq_s32(vdupq_n_s16(0), even), odd);
}

/* Tells whether columns of a group, or of several, are eight. */
static inline int ef_groups_in_eight(unsigned group) {
    return group <= 8 && (group & (group - 1)) == 0;
}

/* Lanes to update, two bits each, with all of their group; groups of 1, 2, 4 or 8. */
static inline unsigned ef_with_group(unsigned lanes, unsigned group) {
    if (group >= 2)
        lanes |= (lanes & 0x3333u) << 2 | (lanes & 0xccccu) >> 2;
    if (group >= 4)
        lanes |= (lanes & 0x0f0fu) << 4 | (lanes & 0xf0f0u) >> 4;
    if (group >= 8)
        lanes |= (lanes & 0x00ffu) << 8 | lanes >> 8;
    return lanes;
}

/* Of at most eight columns those to update, with all of a group: a bit at twice their number. */
static inline unsigned ef_fired_lanes(const int16_t *x, const int16_t *held, unsigned left,
                                      unsigned threshold, unsigned group) {
    const mve_pred16_t some = vctp16q(left);
    const uint16x8_t moved =
        vreinterpretq_u16_s16(vabdq_s16(vldrhq_z_s16(x, some), vldrhq_z_s16(held, some)));
    const unsigned lanes = vcmpcsq_m_n_u16(moved, (uint16_t)threshold, some);
    return lanes ? ef_with_group(lanes, group) & (unsigned)some & 0x5555u : 0;
}

#endif

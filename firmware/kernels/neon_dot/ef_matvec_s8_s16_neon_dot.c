/* Any int16 x, as two bytes. */
#define EF_MATVEC ef_matvec_s8_s16_neon_dot
#define EF_SPLIT 1
#include "ef_matvec_neon_dot.inc"

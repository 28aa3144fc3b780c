/* x of at most 8 bits. */
#define EF_MATVEC ef_matvec_s8_s8_neon_dot
#define EF_SPLIT 0
#include "ef_matvec_neon_dot.inc"

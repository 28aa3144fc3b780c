/*
 * Delta matrix-vector product, 16 bits of flash per weight. 7 instructions for 8 MACs of a column.
 *
 * A word holds 2^24 a + b, a and b weights of the rows A and B. SMLAL with 2^8 times the change of
 * x sums 2^32 A + 2^8 B in 64 bits: as long as |B| < 2^23, the low word is 2^8 B, and A the high
 * one, plus one where B is negative.
 */
#include "ef_delta_matvec_dsp.inc"
#include "ef_delta_matvec_long.inc"

    .macro START
    .endm

    .macro LOAD
    ldr r7, [sp, #SUMS]
    ldm.w r7, {r0-r6, r8}
    .endm
    .equ HEAD, 10
    .equ KEEPS_SUMS, 0

    .macro COLUMN place
    ldrd r7, lr, [sp, #(\place)]
    ldmia.w r7!, {r9-r12}
    str r7, [sp, #(\place)]
    smlal r0, r1, r9, lr
    smlal r2, r3, r10, lr
    smlal r4, r5, r11, lr
    smlal r6, r8, r12, lr
    .endm

    FUNCTION ef_delta_matvec_s16_s16_dsp
    DELTA_MATVEC 24, 0, 2
    END ef_delta_matvec_s16_s16_dsp

/*
 * Delta matrix-vector product, columns updated in groups of an even number; int8, two rows per
 * halfword. 15 instructions for 16 MACs of a pair of columns.
 *
 * Weights are as in ef_matvec_pair_s8_s16_dsp: sums are 256 A + B and B, for |A| < 2^23.
 */
#include "ef_delta_matvec_dsp.inc"

    .macro START
    .endm

    .macro LOAD
    ldr r7, [sp, #SUMS]
    ldm.w r7, {r0-r6, r8}
    .endm
    .equ HEAD, 10
    .equ KEEPS_SUMS, 0

    .macro ROW_PAIR both, b, w
    smlad \both, \w, lr, \both
    sxtb16 \w, \w
    smlad \b, \w, lr, \b
    .endm

    .macro COLUMN place
    ldrd r7, lr, [sp, #(\place)]
    ldmia.w r7!, {r9-r12}
    str r7, [sp, #(\place)]
    ROW_PAIR r0, r1, r9
    ROW_PAIR r2, r3, r10
    ROW_PAIR r4, r5, r11
    ROW_PAIR r6, r8, r12
    .endm

    .macro REQUANTIZE_PAIR both, low, a, b
    sub \both, \both, \low
    smmla \both, \both, \a, r7 /* (256 A m + 128 2^32) >> 32, then >> 8: rounded as SMMULR does */
    smmulr \low, \low, \b
    ssat \both, #16, \both, asr #8
    ssat \low, #16, \low
    pkhbt \both, \both, \low, lsl #16
    .endm

    FUNCTION ef_delta_matvec_pair_s8_s16_dsp
    DELTA_MATVEC 12, 1, 2
    END ef_delta_matvec_pair_s8_s16_dsp

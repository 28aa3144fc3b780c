/*
 * Delta matrix-vector product, columns updated in groups of an even number; weights in 16 bits.
 * 12 instructions for 16 MACs of a pair of columns.
 */
#include "ef_delta_matvec_dsp.inc"

    .macro START
    .endm

    .macro LOAD
    ldr r7, [sp, #SUMS]
11: ldm.w r7, {r0-r6, r8}
    .endm
    .equ HEAD, 10
    .equ KEEPS_SUMS, 1

    .macro COLUMN place
    ldrd r7, lr, [sp, #(\place)]
    ldmia.w r7!, {r9-r12}
    smlad r0, r9, lr, r0
    smlad r1, r10, lr, r1
    smlad r2, r11, lr, r2
    smlad r3, r12, lr, r3
    ldmia.w r7!, {r9-r12}
    str r7, [sp, #(\place)]
    smlad r4, r9, lr, r4
    smlad r5, r10, lr, r5
    smlad r6, r11, lr, r6
    smlad r8, r12, lr, r8
    .endm

    .macro REQUANTIZE_PAIR a, b, ma, mb
    smmulr \a, \a, \ma
    smmulr \b, \b, \mb
    ssat \a, #16, \a
    ssat \b, #16, \b
    pkhbt \a, \a, \b, lsl #16
    .endm

    FUNCTION ef_delta_matvec_pair_s16_s16_dsp
    DELTA_MATVEC 12, 1, 4
    END ef_delta_matvec_pair_s16_s16_dsp

/*
 * Matrix-vector product, int8 weights, any int16 x. 18 instructions for 16 MACs.
 *
 * A tile has one word a row, bytes ordered c0 c2 c1 c3: SXTB16 gives the halfwords (c0, c1) and,
 * rotated by 8, (c2, c3), which SMLAD multiplies with pairs of x.
 */
#include "ef_matvec_dsp.inc"

    .macro ROW acc, w
    sxtb16 r12, \w
    sxtb16 \w, \w, ror #8
    smlad \acc, r12, r6, \acc
    smlad \acc, \w, r7, \acc
    .endm

    .macro TILE
    ldmia.w r1!, {r6, r7}
    ldmia.w r0!, {r8-r11}
    ROW r2, r8
    ROW r3, r9
    ROW r4, r10
    ROW r5, r11
    .endm

    FUNCTION ef_matvec_s8_s16_dsp
    PROLOGUE
    adds r4, #3
    lsrs r4, #2
    lsls r4, #1
    ENTER 1
    b 80f
    .align 2
10: ldmia.w r0!, {r2-r5}
    ldr.w pc, [sp, #ENTRY]
18: ldr.w lr, [sp, #LAST]
    cmp.w lr, r1
    ldr.w pc, [sp, #FIRST]
19: cmp.w lr, r1
20: TILE
21: .rept 7
    TILE
    .endr
    bhi.w 19b
30: ldmia.w r0!, {r8-r11}
    ldm sp, {r1, r6, r7, r12}
    lsl r2, r2, r12
    lsl r3, r3, r12
    lsl r4, r4, r12
    lsl r5, r5, r12
    MULTIPLY_AND_SATURATE
    STORE
    FINISH 10b, r6, r7, r5, r4, r3, r2
    END ef_matvec_s8_s16_dsp

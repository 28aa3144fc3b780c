/*
 * Matrix-vector product, int8 weights, any int16 x. 18 instructions for 16 MACs.
 *
 * A tile has one word per row, bytes ordered c0 c2 c1 c3: SXTB16 gives the halfwords (c0, c1) and,
 * rotated by 8, (c2, c3), which SMLAD multiplies with pairs of x.
 */
#include "ef_matvec_dsp.inc"

    .macro BLOCK
    ldmia.w r1!, {r6, r7}
    ldmia.w r0!, {r8-r11}
    ROW_OF_TILE r2, r8
    ROW_OF_TILE r3, r9
    ROW_OF_TILE r4, r10
    ROW_OF_TILE r5, r11
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
    EIGHT_BLOCKS kept=1
    ldm sp, {r1, r6, r7, r12}
    REQUANTIZE_BY r12
    STORE_GROUP
    END ef_matvec_s8_s16_dsp

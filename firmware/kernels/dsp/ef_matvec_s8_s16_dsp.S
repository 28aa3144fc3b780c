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
    LOOP_ENTRY_OF r4, 20f, 21f, 30f
10: ldmia.w r0!, {r2-r5}
    ldr lr, [sp, #X_END]
    ldr pc, [sp, #LOOP_ENTRY]
    .align 2
20: TILE
21: TILE
    TILE
    TILE
    cmp r1, lr
    bne 20b
    .align 2
30: ldmia.w r0!, {r8-r11}
    ldr r12, [sp, #SHIFT_BY]
    lsl r2, r2, r12
    lsl r3, r3, r12
    lsl r4, r4, r12
    lsl r5, r5, r12
    EPILOGUE 10b
    .size ef_matvec_s8_s16_dsp, . - ef_matvec_s8_s16_dsp

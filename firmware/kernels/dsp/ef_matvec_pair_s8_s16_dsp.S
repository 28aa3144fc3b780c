/*
 * Matrix-vector product, two rows of int8 weights in a halfword. 27 instructions for 32 MACs.
 *
 * A halfword holds 256 a + b, a and b weights of the rows A and B. SMLAD of the raw word gives
 * 256 A + B, SXTB16 leaves b, a second SMLAD gives B: three instructions for 4 MACs. A follows by
 * a subtraction at the end, exactly, as long as 256 A + B fits 32 bits for every input; this and
 * multipliers that already hold the shift are checked when the weights are packed.
 *
 * A tile is AB(c0 c1) CD(c0 c1) AB(c2 c3) CD(c2 c3).
 */
#include "ef_matvec_dsp.inc"

    .macro PAIRS ab, cd, x
    smlad r2, \ab, \x, r2
    sxtb16 \ab, \ab
    smlad r4, \cd, \x, r4
    sxtb16 \cd, \cd
    smlad r3, \ab, \x, r3
    smlad r5, \cd, \x, r5
    .endm

    .macro TILE x01, x23
    ldmia.w r0!, {r10-r12, lr}
    PAIRS r10, r11, \x01
    PAIRS r12, lr, \x23
    .endm

    .macro TWO_TILES
    ldmia.w r1!, {r6-r9}
    TILE r6, r7
    TILE r8, r9
    .endm

    FUNCTION ef_matvec_pair_s8_s16_dsp
    PROLOGUE
    lsrs r7, r4, #1
    LOOP_ENTRY_OF r7, 20f, 21f, 30f
    tst r4, #1
    itt ne /* an odd tile goes first */
    adrne.w r9, 15f
    orrne r9, r9, #1
    str r9, [sp, #ENTRY]
10: ldmia.w r0!, {r2-r5}
    ldr pc, [sp, #ENTRY]
    .align 2
15: ldmia.w r1!, {r6, r7}
    TILE r6, r7
    ldr pc, [sp, #LOOP_ENTRY]
    .align 2
20: TWO_TILES
21: TWO_TILES
    TWO_TILES
    TWO_TILES
    ldr lr, [sp, #X_END]
    cmp r1, lr
    bne 20b
    .align 2
30: ldmia.w r0!, {r8-r11}
    sub r2, r2, r3
    asr r2, r2, #8
    sub r4, r4, r5
    asr r4, r4, #8
    EPILOGUE 10b
    .size ef_matvec_pair_s8_s16_dsp, . - ef_matvec_pair_s8_s16_dsp

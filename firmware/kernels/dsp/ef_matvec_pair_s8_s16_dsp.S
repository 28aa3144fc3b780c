/*
 * Matrix-vector product, two rows of int8 weights in a halfword. 27 instructions for 32 MACs.
 *
 * A halfword holds 256 a + b, a and b weights of the rows A and B. SMLAD of the raw word gives
 * 256 A + B, SXTB16 leaves b, a second SMLAD gives B: three instructions for 4 MACs. Their
 * difference is 256 A, whatever wraps on the way, as long as |A| < 2^23 for every input; this and
 * multipliers that already hold the shift are checked when the weights are packed.
 *
 * Two columns are AB(c0 c1) CD(c0 c1).
 */
#include "ef_matvec_dsp.inc"

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
    adds r4, #1
    lsrs r4, #1
    mov r12, #128
    ENTER 2
    ENTER_REST
    b 80f
    .align 2
10: ldmia.w r0!, {r2-r5}
    ldr.w pc, [sp, #ENTRY]
11: ldr r6, [r1], #4
    ldmia.w r0!, {r10, r11}
    PAIRS r10, r11, r6
    ldr.w pc, [sp, #FOURS]
15: ldmia.w r1!, {r6, r7}
    TILE r6, r7
    ldr.w pc, [sp, #BLOCKS]
18: ldr.w lr, [sp, #LAST]
    cmp.w lr, r1
    ldr.w pc, [sp, #FIRST]
19: ldr.w lr, [sp, #LAST]
    cmp.w lr, r1
20: TWO_TILES
21: .rept 7
    TWO_TILES
    .endr
    bhi.w 19b
30: ldmia.w r0!, {r8-r11}
    ldm sp, {r1, r6, r7, r12}
    sub r2, r2, r3
    sub r4, r4, r5
    smmla r2, r2, r8, r12 /* (256 A m + 128 2^32) >> 32, then >> 8: rounded as SMMULR does */
    smmulr r3, r3, r9
    smmla r4, r4, r10, r12
    smmulr r5, r5, r11
    ssat r2, #16, r2, asr #8
    ssat r3, #16, r3
    ssat r4, #16, r4, asr #8
    ssat r5, #16, r5
    STORE
    FINISH 10b, r6, r7, r5, r4, r3, r2
    END ef_matvec_pair_s8_s16_dsp

/*
 * Matrix-vector product, weights stored in 16 bits. 21 instructions for 32 MACs.
 *
 * Two columns are A B C D, a word each: nothing is unpacked. Multipliers already hold the shift.
 */
#include "ef_matvec_dsp.inc"

    .macro ROWS_OF x
    ldmia.w r0!, {r10-r12, lr}
    smlad r2, r10, \x, r2
    smlad r3, r11, \x, r3
    smlad r4, r12, \x, r4
    smlad r5, lr, \x, r5
    .endm

    .macro BLOCK
    ldmia.w r1!, {r6-r9}
    ROWS_OF r6
    ROWS_OF r7
    ROWS_OF r8
    ROWS_OF r9
    .endm

    FUNCTION ef_matvec_s16_s16_dsp
    PROLOGUE
    adds r4, #1
    lsrs r4, #1
    ENTER 2
    ENTER_REST
    b 80f
    .align 2
10: ldmia.w r0!, {r2-r5}
    ldr.w pc, [sp, #ENTRY]
11: ldr r6, [r1], #4
    ROWS_OF r6
    ldr.w pc, [sp, #FOURS]
15: ldmia.w r1!, {r6, r7}
    ROWS_OF r6
    ROWS_OF r7
    ldr.w pc, [sp, #BLOCKS]
    EIGHT_BLOCKS
    ldm sp, {r1, r6, r7}
    MULTIPLY_AND_SATURATE
    STORE_GROUP
    END ef_matvec_s16_s16_dsp

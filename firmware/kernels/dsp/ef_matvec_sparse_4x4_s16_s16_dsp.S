/*
 * Matrix-vector product of 4 x 4 blocks, weights stored in 16 bits. 12 instructions for a block of
 * 16 MACs.
 *
 * Two columns of a block are A B C D, a word each. Multipliers already hold the shift.
 */
#include "ef_matvec_sparse_dsp.inc"

    .macro ROWS_OF x
    smlad r2, r8, \x, r2
    smlad r3, r9, \x, r3
    smlad r4, r10, \x, r4
    smlad r5, r11, \x, r5
    .endm

    .macro BLOCK byte
    ADD_OFFSET r1, r1, \byte
    ldm r1, {r6, r7}
    ldmia.w r0!, {r8-r11}
    ROWS_OF r6
    .if \byte == 3
    ldmia.w r0!, {r8-r11, lr}
    .else
    ldmia.w r0!, {r8-r11}
    .endif
    ROWS_OF r7
    .endm

    FUNCTION ef_matvec_sparse_4x4_s16_s16_dsp
    PROLOGUE
    SPARSE_PROLOGUE
    ENTER_ITEMS
20: BLOCK 0
21: BLOCK 1
22: BLOCK 2
23: BLOCK 3
24: BLOCK 0
25: BLOCK 1
26: BLOCK 2
27: BLOCK 3
    MORE_ITEMS
    ldmia.w r0!, {r8-r10}
    ldm sp, {r1, r6, r7}
    smmulr r2, r2, lr
    smmulr r3, r3, r8
    smmulr r4, r4, r9
    smmulr r5, r5, r10
    ssat r2, #16, r2
    ssat r3, #16, r3
    ssat r4, #16, r4
    ssat r5, #16, r5
    STORE
    FINISH 10b, r6, r7, r5, r4, r3, r2
    END ef_matvec_sparse_4x4_s16_s16_dsp

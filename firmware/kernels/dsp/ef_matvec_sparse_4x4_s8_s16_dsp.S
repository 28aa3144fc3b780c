/*
 * Matrix-vector product of 4 x 4 blocks, int8 weights, any int16 x. 19 instructions for a block of
 * 16 MACs.
 *
 * A block has one word a row, bytes ordered c0 c2 c1 c3, as in ef_matvec_s8_s16_dsp.
 */
#include "ef_matvec_sparse_dsp.inc"

    .macro ROW acc, w
    sxtb16 r12, \w
    sxtb16 \w, \w, ror #8
    smlad \acc, r12, r6, \acc
    smlad \acc, \w, r7, \acc
    .endm

    .macro BLOCK byte
    ADD_OFFSET r1, r1, \byte
    ldm r1, {r6, r7}
    .if \byte == 3
    ldmia.w r0!, {r8-r11, lr}
    .else
    ldmia.w r0!, {r8-r11}
    .endif
    ROW r2, r8
    ROW r3, r9
    ROW r4, r10
    ROW r5, r11
    .endm

    FUNCTION ef_matvec_sparse_4x4_s8_s16_dsp
    PROLOGUE
    SPARSE_PROLOGUE
    ENTER_ITEMS save=1
20: BLOCK 0
21: BLOCK 1
22: BLOCK 2
23: BLOCK 3
24: BLOCK 0
25: BLOCK 1
26: BLOCK 2
27: BLOCK 3
29: ldr.w r12, [sp, #ITEMS]
    subs r12, #8
    str.w r12, [sp, #ITEMS]
    bpl.w 20b
    ldmia.w r0!, {r8-r10}
    ldm sp, {r1, r6, r7, r12}
    lsl r2, r2, r12
    lsl r3, r3, r12
    lsl r4, r4, r12
    lsl r5, r5, r12
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
    END ef_matvec_sparse_4x4_s8_s16_dsp

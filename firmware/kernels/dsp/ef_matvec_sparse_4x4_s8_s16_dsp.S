/*
 * Matrix-vector product of 4 x 4 blocks, int8 weights, any int16 x. 19 instructions per block of
 * 16 MACs.
 *
 * A block has one word per row, bytes ordered c0 c2 c1 c3, as in ef_matvec_s8_s16_dsp.
 */
#include "ef_matvec_sparse_dsp.inc"

    .macro BLOCK byte
    ADD_OFFSET r1, r1, \byte
    ldm r1, {r6, r7}
    LOAD_WEIGHTS r8, \byte
    ROW_OF_TILE r2, r8
    ROW_OF_TILE r3, r9
    ROW_OF_TILE r4, r10
    ROW_OF_TILE r5, r11
    .endm

    FUNCTION ef_matvec_sparse_4x4_s8_s16_dsp
    PROLOGUE
    SPARSE_PROLOGUE
    ENTER_ITEMS save=1
    EIGHT_ITEMS
29: ldr.w r12, [sp, #ITEMS]
    subs r12, #8
    str.w r12, [sp, #ITEMS]
    bpl.w 20b
    ldmia.w r0!, {r8-r10}
    ldm sp, {r1, r6, r7, r12}
    REQUANTIZE_BY r12, lr, r8, r9, r10
    STORE_GROUP
    END ef_matvec_sparse_4x4_s8_s16_dsp

/*
 * Delta matrix-vector product of blocks of 4 rows x 1 column, two rows of int8 weights in a
 * halfword. 17 instructions for two blocks, 8 MACs.
 *
 * A block is the word AB | CD << 16, halfwords 256 a + b, for |A| < 2^23.
 */
#include "ef_delta_matvec_sparse_dsp.inc"

    .macro BLOCK w, address, rotated:vararg
    LOAD_SUMS \address, \rotated
    smlabb r2, \w, lr, r2
    smlatb r4, \w, lr, r4
    sxtb16 \w, \w
    smlabb r3, \w, lr, r3
    smlatb r5, \w, lr, r5
    stm.w \address, {r2-r5}
    .endm

    .macro ITEM
    ldmia.w r0!, {r6-r8}
    BLOCK r7, r11
    BLOCK r8, r11, , ror #16
    .endm

    FUNCTION ef_delta_matvec_sparse_4x1_s8_s16_dsp
    SPARSE_DELTA_MATVEC 24, 0
    END ef_delta_matvec_sparse_4x1_s8_s16_dsp

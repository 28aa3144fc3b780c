/*
 * Delta matrix-vector product of blocks of 4 rows x 2 columns, updated in groups of an even
 * number; two rows of int8 weights in a halfword. 19 instructions for two blocks, 16 MACs.
 *
 * A block is AB(c0 c1) CD(c0 c1), halfwords 256 a + b, for |A| < 2^23.
 */
#include "ef_delta_matvec_sparse_dsp.inc"

    .macro BLOCK ab, cd, address, rotated:vararg
    LOAD_SUMS \address, \rotated
    smlad r2, \ab, lr, r2
    sxtb16 \ab, \ab
    smlad r4, \cd, lr, r4
    sxtb16 \cd, \cd
    smlad r3, \ab, lr, r3
    smlad r5, \cd, lr, r5
    stm.w \address, {r2-r5}
    .endm

    .macro ITEM
    ldmia.w r0!, {r6-r10}
    BLOCK r7, r8, r11
    BLOCK r9, r10, r11, , ror #16
    .endm

    FUNCTION ef_delta_matvec_sparse_4x2_s8_s16_dsp
    SPARSE_DELTA_MATVEC 12, 1
    END ef_delta_matvec_sparse_4x2_s8_s16_dsp

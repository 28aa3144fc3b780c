/*
 * Matrix-vector product of blocks of 4 rows x 2 columns, two rows of int8 weights in a halfword as
 * in ef_matvec_pair_s8_s16_dsp. 17 instructions for two blocks, 16 MACs.
 *
 * A block is AB(c0 c1) CD(c0 c1). Two are loaded at once; an odd number enters at the second.
 */
#include "ef_matvec_sparse_dsp.inc"

    .macro TWO_ITEMS byte
    ADD_OFFSET r6, r1, \byte
    ADD_OFFSET r1, r6, (\byte + 1)
    ldr r6, [r6]
    ldr r7, [r1]
    LOAD_WEIGHTS r8, \byte, 2
    PAIRS r8, r9, r6
    .endm

    .macro ONE_ITEM byte
    ADD_OFFSET r1, r1, \byte
    ldr r7, [r1]
    LOAD_WEIGHTS r10, \byte
    .endm

    FUNCTION ef_matvec_sparse_4x2_pair_s8_s16_dsp
    SPARSE_PAIRS
    END ef_matvec_sparse_4x2_pair_s8_s16_dsp

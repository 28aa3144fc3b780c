/*
 * Matrix-vector product of columns of 4 rows, two rows of int8 weights in a halfword as in
 * ef_matvec_pair_s8_s16_dsp. 23 instructions for four columns, 16 MACs: for zeros that come in no
 * larger blocks.
 *
 * An item is two columns, AB(c0 c1) CD(c0 c1), each with an offset of its own. Two items are loaded
 * at once; an odd number enters at the second.
 */
#include "ef_matvec_sparse_dsp.inc"

    .macro GATHER to, other, byte
    ADD_OFFSET r1, r1, \byte
    ldrh \to, [r1]
    ADD_OFFSET r1, r1, (\byte + 1)
    ldrh \other, [r1]
    pkhbt \to, \to, \other, lsl #16
    .endm

    .macro TWO_ITEMS byte
    GATHER r6, r7, 0
    GATHER r7, r8, 2
    ldmia.w r0!, {r8-r11, lr}
    PAIRS r8, r9, r6
    .endm

    .macro ONE_ITEM byte
    GATHER r7, r8, 2
    ldmia.w r0!, {r10, r11, lr}
    .endm

    FUNCTION ef_matvec_sparse_4x1_pair_s8_s16_dsp
    SPARSE_PAIRS
    END ef_matvec_sparse_4x1_pair_s8_s16_dsp

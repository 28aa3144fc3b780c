/*
 * Matrix-vector product of 4 x 4 blocks, two rows of int8 weights in a halfword as in
 * ef_matvec_pair_s8_s16_dsp. 15 instructions per block of 16 MACs.
 *
 * A block is AB(c0 c1) CD(c0 c1) AB(c2 c3) CD(c2 c3).
 */
#include "ef_matvec_sparse_dsp.inc"

    .macro BLOCK byte
    ADD_OFFSET r1, r1, \byte
    ldm r1, {r6, r7}
    LOAD_WEIGHTS r8, \byte
    PAIRS r8, r9, r6
    PAIRS r10, r11, r7
    .endm

    FUNCTION ef_matvec_sparse_4x4_pair_s8_s16_dsp
    PROLOGUE
    mov r12, #128
    SPARSE_PROLOGUE
    ENTER_ITEMS
    EIGHT_ITEMS
    MORE_ITEMS
    FINISH_PAIRS
    END ef_matvec_sparse_4x4_pair_s8_s16_dsp

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

    .macro TWO_ITEMS
    GATHER r6, r7, 0
    GATHER r7, r8, 2
    ldmia.w r0!, {r8-r11, lr}
    PAIRS r8, r9, r6
    .endm

/* The second item alone, up to where TWO_ITEMS ends. */
    .macro SECOND then
    GATHER r7, r8, 2
    ldmia.w r0!, {r10, r11, lr}
    b.w \then
    .endm

    FUNCTION ef_matvec_sparse_4x1_pair_s8_s16_dsp
    PROLOGUE
    mov r12, #128
    SPARSE_PROLOGUE
    ENTER_ITEMS
20: TWO_ITEMS
30: PAIRS r10, r11, r7
22: TWO_ITEMS
31: PAIRS r10, r11, r7
24: TWO_ITEMS
32: PAIRS r10, r11, r7
26: TWO_ITEMS
33: PAIRS r10, r11, r7
    MORE_ITEMS
    FINISH_PAIRS
21: SECOND 30b
23: SECOND 31b
25: SECOND 32b
27: SECOND 33b
    END ef_matvec_sparse_4x1_pair_s8_s16_dsp

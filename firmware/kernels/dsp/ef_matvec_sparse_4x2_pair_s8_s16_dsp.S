/*
 * Matrix-vector product of blocks of 4 rows x 2 columns, two rows of int8 weights in a halfword as
 * in ef_matvec_pair_s8_s16_dsp. 17 instructions for two blocks, 16 MACs.
 *
 * A block is AB(c0 c1) CD(c0 c1). Two are loaded at once; an odd number enters at the second.
 */
#include "ef_matvec_sparse_dsp.inc"

    .macro TWO_BLOCKS byte
    ADD_OFFSET r6, r1, \byte
    ADD_OFFSET r1, r6, (\byte + 1)
    ldr r6, [r6]
    ldr r7, [r1]
    .if \byte == 2
    ldmia.w r0!, {r8-r11, lr}
    .else
    ldmia.w r0!, {r8-r11}
    .endif
    PAIRS r8, r9, r6
    .endm

/* The second block alone, up to where TWO_BLOCKS ends. */
    .macro SECOND byte, then
    ADD_OFFSET r1, r1, \byte
    ldr r7, [r1]
    .if \byte == 3
    ldmia.w r0!, {r10, r11, lr}
    .else
    ldmia.w r0!, {r10, r11}
    .endif
    b.w \then
    .endm

    FUNCTION ef_matvec_sparse_4x2_pair_s8_s16_dsp
    PROLOGUE
    mov r12, #128
    SPARSE_PROLOGUE
    ENTER_ITEMS
20: TWO_BLOCKS 0
30: PAIRS r10, r11, r7
22: TWO_BLOCKS 2
31: PAIRS r10, r11, r7
24: TWO_BLOCKS 0
32: PAIRS r10, r11, r7
26: TWO_BLOCKS 2
33: PAIRS r10, r11, r7
    MORE_ITEMS
    FINISH_PAIRS
21: SECOND 1, 30b
23: SECOND 3, 31b
25: SECOND 1, 32b
27: SECOND 3, 33b
    END ef_matvec_sparse_4x2_pair_s8_s16_dsp

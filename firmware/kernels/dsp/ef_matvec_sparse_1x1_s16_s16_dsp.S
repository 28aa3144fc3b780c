/*
 * Unstructured sparse matrix-vector product, int8, any int16 x: 9 instructions for four weights
 * that are not zero, 7 per row; 24 bytes per four.
 *
 * A four begins with a word for each column: its distance from x in bytes. An address needs a whole
 * register: to take it out of a word of several takes an instruction, which this saves.
 */
#include "ef_matvec_sparse_1x1_dsp.inc"

place0 .req r5
place1 .req r6
place2 .req r7
place3 .req r8
w01 .req r9
w23 .req r10

    .macro COLUMN number
    ldrh.w r12, [r1, place\number]
    .endm

    SPARSE_MATVEC ef_matvec_sparse_1x1_s16_s16_dsp, r10

/*
 * Unstructured sparse matrix-vector product for RV32IM: int8 weights, any int16 x. 6 instructions
 * per weight that is not zero, 19 per row.
 *
 * Weights are one stream:
 *   a word      bytes of what follows up to the items
 *   3 words     for each row: bias, bytes of items, multiplier; up to 64 bytes, or 66: the first 32
 *               of them, and a word before the multiplier tells how many follow, the same way
 *   2 bytes     an item for each weight that is not zero: distance in bytes from the x of the one
 *               before (from x itself), weight
 *
 * 32 items are unrolled and entered so that as many run; where 33 would begin, a jump leads to
 * sixteen others.
 *
 * Registers: a0 end of the items that run, a1 x, a2 y, a3 its end, a4 accumulator, a5 rows, a6 end
 * of the code of items, a7 half of an item's, t0-t2 an item's, t3 the shift, t4 and t5 the ends of
 * int16.
 */
#include "ef_asm.h"

    .macro ITEM at
    lbu t0, (\at)(a0)
    REST \at
    .endm

    .macro REST at
    lb t1, (\at + 1)(a0)
    add t2, t2, t0
    lh t0, 0(t2)
    mul t0, t0, t1
    add a4, a4, t0
    .endm

    .macro ITEMS at
    .if \at < 0
    ITEM (\at)
    ITEMS (\at + 2)
    .endif
    .endm

    FUNCTION ef_matvec_sparse_1x1_s8_s16_rv32
    lhu a3, EF_MATRIX_ROWS(a0)
    lbu t3, EF_MATRIX_SHIFT(a0)
    lw a5, EF_MATRIX_WEIGHTS(a0)
    slli a3, a3, 1
    add a3, a3, a2
    lw a0, 0(a5)
    addi a5, a5, 4
    add a0, a0, a5
    la a6, 5f
    la a7, 4f
    sub a7, a6, a7
    srai a7, a7, 6
    li t4, 32767
    not t5, t4
1:  lw a4, 0(a5)
    mv t2, a1
2:  lw t0, 4(a5)
    add a0, a0, t0
    mul t0, t0, a7
    sub t0, a6, t0
    jr t0
3:  addi a0, a0, -(66 - 32)
    ITEMS -32
    addi a5, a5, 4
    j 2b
    .option push
    .option norvc
    j 3b /* as long as what an item begins with */
    .option pop
    REST 0 /* never runs */
4:  ITEMS -64
5:  lw t0, 8(a5)
    sll a4, a4, t3
    mul t1, a4, t0
    mulh a4, a4, t0
    srli t1, t1, 31 /* rounds */
    add a4, a4, t1
    bge t4, a4, 6f
    mv a4, t4
6:  bge a4, t5, 6f
    mv a4, t5
6:  sh a4, 0(a2)
    addi a2, a2, 2
    addi a5, a5, 12
    bne a2, a3, 1b
    ret
    END ef_matvec_sparse_1x1_s8_s16_rv32

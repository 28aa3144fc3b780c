/*
 * Matrix-vector product for RV32IM: int8 weights, any int16 x. 203 instructions for 64 MACs.
 *
 * Weights are one stream. A group of eight rows is
 *   8 words           bias
 *   8 bytes           weights, for each column
 *   8 words           multipliers
 * with rows padded by zeros and columns to an even number.
 *
 * Four pairs of columns are unrolled and entered so that the rest of the pairs comes first; the
 * rows of a group are stored from the last to the first, and a group of fewer enters later.
 *
 * Two products in one MUL would not be exact: each takes up to 19 bits of its 32. Loads,
 * multiplications and sums come four at a time, so that cores with latencies do not wait.
 *
 * Registers: a0 stream, a1 x, a4-a7 and t3-t6 accumulators of the rows, a2 y, a3 rows left,
 * s0 x, s1 its end, s2 entry of the loop, s3 the shift, s4 and s5 the ends of int16, s8 bytes that
 * the entry skips in the stream.
 */
#include "ef_asm.h"

    .macro FOUR at, a, b, c, d
    lb t1, (\at)(a0)
    lb t2, (\at + 1)(a0)
    lb s6, (\at + 2)(a0)
    lb s7, (\at + 3)(a0)
    mul t1, t1, t0
    mul t2, t2, t0
    mul s6, s6, t0
    mul s7, s7, t0
    add \a, \a, t1
    add \b, \b, t2
    add \c, \c, s6
    add \d, \d, s7
    .endm

    .macro COLUMN number
    lh t0, (2 * \number)(a1)
    FOUR (8 * \number), a4, a5, a6, a7
    FOUR (8 * \number + 4), t3, t4, t5, t6
    .endm

    /* v m + 2^31 carries into the upper word where the lower one of v m has bit 31 */
    .macro REQUANTIZE number, acc
    lw t0, (4 * \number)(a0)
    sll \acc, \acc, s3
    mul t1, \acc, t0
    mulh t0, \acc, t0
    srli t1, t1, 31
    add t0, t0, t1
#ifdef __riscv_zbb
    min t0, t0, s4
    max t0, t0, s5
#else
    bge s4, t0, 1f
    mv t0, s4
1:  bge t0, s5, 1f
    mv t0, s5
1:
#endif
    sh t0, (2 * \number)(a2)
    .endm

    FUNCTION ef_matvec_s8_s16_rv32
    addi sp, sp, -48
    sw s0, 0(sp)
    sw s1, 4(sp)
    sw s2, 8(sp)
    sw s3, 12(sp)
    sw s4, 16(sp)
    sw s5, 20(sp)
    sw s6, 24(sp)
    sw s7, 28(sp)
    sw s8, 32(sp)
    lhu a3, EF_MATRIX_ROWS(a0)
    lhu t0, EF_MATRIX_COLS(a0)
    lbu s3, EF_MATRIX_SHIFT(a0)
    lw a0, EF_MATRIX_WEIGHTS(a0)
    addi t0, t0, 1
    srli t0, t0, 1
    slli s1, t0, 2
    add s1, s1, a1
    neg t0, t0
    andi t0, t0, 3
    slli s0, t0, 2
    sub s0, a1, s0
    slli s8, t0, 4
    la s2, 3f
    la t1, 4f
    sub t1, t1, s2
    mul t1, t1, t0
    add s2, s2, t1
    li s4, 32767
    not s5, s4

8:  lw a4, 0(a0)
    lw a5, 4(a0)
    lw a6, 8(a0)
    lw a7, 12(a0)
    lw t3, 16(a0)
    lw t4, 20(a0)
    lw t5, 24(a0)
    lw t6, 28(a0)
    addi a0, a0, 32
    sub a0, a0, s8
    mv a1, s0
    jr s2
3:  COLUMN 0
    COLUMN 1
4:  COLUMN 2
    COLUMN 3
    COLUMN 4
    COLUMN 5
    COLUMN 6
    COLUMN 7
    addi a0, a0, 64
    addi a1, a1, 16
    bne a1, s1, 3b
    addi a3, a3, -8
    bltz a3, 6f
5:  REQUANTIZE 7, t6
7:  REQUANTIZE 6, t5
    REQUANTIZE 5, t4
    REQUANTIZE 4, t3
    REQUANTIZE 3, a7
    REQUANTIZE 2, a6
    REQUANTIZE 1, a5
    REQUANTIZE 0, a4
    addi a0, a0, 32
    addi a2, a2, 16
    bgtz a3, 8b
    j 9f
6:  la t0, 5b /* a3 is minus the rows that this group lacks */
    la t1, 7b
    sub t1, t0, t1
    mul t1, t1, a3
    add t0, t0, t1
    jr t0

9:  lw s0, 0(sp)
    lw s1, 4(sp)
    lw s2, 8(sp)
    lw s3, 12(sp)
    lw s4, 16(sp)
    lw s5, 20(sp)
    lw s6, 24(sp)
    lw s7, 28(sp)
    lw s8, 32(sp)
    addi sp, sp, 48
    ret
    END ef_matvec_s8_s16_rv32

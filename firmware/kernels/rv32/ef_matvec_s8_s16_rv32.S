/*
 * Matrix-vector product for RV32IM: int8 weights, any int16 x. 203 instructions for 64 MACs.
 *
 * Weights are one stream. A group of eight rows is
 *   8 words           bias
 *   8 bytes           weights, for each column
 *   8 words           multipliers
 * with rows padded by zeros and columns to an even number.
 *
 * Two products in one MUL would not be exact: each takes up to 19 bits of its 32. Loads,
 * multiplications and sums come four at a time, so that cores with latencies do not wait.
 *
 * Registers: s0 x, s1 its end, s2 entry of the loop, s8 bytes that the entry skips in the stream.
 */
#include "ef_matvec_rv32.inc"

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

    FUNCTION ef_matvec_s8_s16_rv32
    PROLOGUE
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
    FINISH
    END ef_matvec_s8_s16_rv32

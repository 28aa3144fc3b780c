/*
 * Matrix-vector product for RV32IM: int4 weights, two products in one MUL. 139 instructions for 64
 * MACs.
 *
 * Weights are one stream. A group of eight rows A to H is
 *   4 words           start of the accumulators, 2^16 E + A, ...
 *   a word            nibbles w + 8 of A to H, for each column
 *   8 words           multipliers
 * with rows padded by zeros and columns to an even number by words of 0, so that the x behind the
 * last one does not count.
 *
 * AND leaves 2^16 e' + a' of two rows, e' = e + 8 and a' = a + 8, and MUL multiplies it with x. The
 * sum is 2^16 E + A once 8 X, the sum of x, is taken away from both. It may wrap, but E and A fit 16
 * bits for every input; this is checked when the weights are packed.
 *
 * Registers: a4-a7 accumulators of two rows, s0 x, s1 its end, s2 entry of the loop, s6 0x000f000f,
 * s7 8 X, twice, s8 bytes that the entry skips in the stream, s9 2^15, s10 the upper halfword, s3 15
 * less the shift.
 */
#include "ef_matvec_rv32.inc"

    .macro COLUMN number
    lh t0, (2 * \number)(a1)
    lw t1, (4 * \number)(a0)
    srli t2, t1, 4
    srli t3, t1, 8
    srli t4, t1, 12
    and t1, t1, s6
    and t2, t2, s6
    and t3, t3, s6
    and t4, t4, s6
    mul t1, t1, t0
    mul t2, t2, t0
    mul t3, t3, t0
    mul t4, t4, t0
    add a4, a4, t1
    add a5, a5, t2
    add a6, a6, t3
    add a7, a7, t4
    .endm

    /* Leaves both sums shifted by one more than is needed. */
    .macro APART both, high
    add \high, \both, s9
    and \high, \high, s10
    sra \high, \high, s3
    slli \both, \both, 16
    sra \both, \both, s3
    .endm

    /* floor(floor(v m / 2^31) / 2 + 1/2), where the accumulator is 2 v */
    .macro REQUANTIZE_TWICE number, acc
    lw t0, (4 * \number)(a0)
    mulh t0, \acc, t0
    addi t0, t0, 1
    srai t0, t0, 1
    SATURATE \number
    .endm

    FUNCTION ef_matvec_pair_s4_s16_rv32
    PROLOGUE
    li t1, 15
    sub s3, t1, s3
    li s9, 0x8000
    li s10, -0x10000
    slli t1, t0, 1
    add t1, t1, a1 /* behind the last column */
    mv t2, a1
    li s7, 0
    andi t3, t0, 1
    beqz t3, 1f
    lh s7, 0(t2)
    addi t2, t2, 2
    beq t2, t1, 2f
1:  lh t3, 0(t2)
    lh t4, 2(t2)
    addi t2, t2, 4
    add s7, s7, t3
    add s7, s7, t4
    bne t2, t1, 1b
2:
    slli t1, s7, 16
    add s7, s7, t1
    slli s7, s7, 3
    addi t0, t0, 1
    srli t0, t0, 1
    slli s1, t0, 2
    add s1, s1, a1
    neg t0, t0
    andi t0, t0, 3
    slli s0, t0, 2
    sub s0, a1, s0
    slli s8, t0, 3
    la s2, 3f
    la t1, 4f
    sub t1, t1, s2
    mul t1, t1, t0
    add s2, s2, t1
    li s6, 0x000f000f

8:  lw a4, 0(a0)
    lw a5, 4(a0)
    lw a6, 8(a0)
    lw a7, 12(a0)
    sub a4, a4, s7
    sub a5, a5, s7
    sub a6, a6, s7
    sub a7, a7, s7
    addi a0, a0, 16
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
    addi a0, a0, 32
    addi a1, a1, 16
    bne a1, s1, 3b
    APART a4, t3
    APART a5, t4
    APART a6, t5
    APART a7, t6
    FINISH REQUANTIZE_TWICE
    END ef_matvec_pair_s4_s16_rv32

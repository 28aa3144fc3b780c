/*
 * Matrix-vector product of columns of 8 rows for Armv6-M: int8 weights, any int16 x, at most 256
 * columns. 31 instructions per column of 8 MACs.
 *
 * Weights are one stream. A group of eight rows is
 *   8 words           bias
 *   a word            bytes of its columns
 *   9 bytes           for each column that is not zero: its number, weights w + 128
 *   8 words           multipliers, after up to three bytes of 0
 * with rows padded by zeros. 128 times the sum of the x read is subtracted in the end.
 *
 * Registers: r0 stream, r5 end of the columns, r1 x, r2 sum of the x read.
 */
#include "ef_matvec_armv6m.inc"

    FUNCTION ef_matvec_sparse_8x1_s8_s16_armv6m
    PROLOGUE
    ldr r0, [r0, #EF_MATRIX_WEIGHTS]
3:  ldmia r0!, {r1-r4, r6, r7}
    mov r8, r1
    mov r9, r2
    mov r10, r6
    mov r11, r7
    mov r6, r3
    mov r7, r4
    ldmia r0!, {r1, r2, r5}
    mov r12, r1
    mov lr, r2
    ldr r1, [sp, #X]
    adds r5, r0
    movs r2, #0
    b 2f
1:  ldrb r4, [r0]
    lsls r4, #1
    ldrsh r3, [r1, r4]
    adds r2, r3
    COLUMN 1
    adds r0, #9
2:  cmp r0, r5
    bne 1b
    lsls r2, #7
    negs r2, r2
    add r8, r2
    add r9, r2
    add r6, r2
    add r7, r2
    add r10, r2
    add r11, r2
    add r12, r2
    add lr, r2
    movs r4, #3
    adds r0, #3
    bics r0, r4
    FINISH 3b
    END ef_matvec_sparse_8x1_s8_s16_armv6m

/*
 * Matrix-vector product for Armv7-M without the DSP extension: int8 weights, any int16 x.
 * 139 instructions for 64 MACs.
 *
 * Weights are one stream. A group of eight rows is
 *   8 words           bias
 *   8 bytes           weights, for each column
 *   8 words           multipliers
 * with rows padded by zeros and columns to an even number.
 *
 * SMLAL of two weights in a word, a 2^24 + b, is exact where 24 bits hold the sums of b, and would
 * need 1.4 instructions per MAC; but it takes 4 to 7 cycles, and MLA 2. Loads come in pairs, as the
 * second one is pipelined.
 *
 * Registers: r0 stream, r1 x, lr its end, r2-r9 accumulators of the rows, r10 x, r11 and r12 w.
 */
#include "ef_matvec_armv7m.inc"

    .macro TWO at, a, b
    ldrsb r11, [r0, #\at]
    ldrsb r12, [r0, #(\at + 1)]
    mla \a, r11, r10, \a
    mla \b, r12, r10, \b
    .endm

    .macro COLUMN at
    ldrsh r10, [r1], #2
    TWO \at, r2, r3
    TWO (\at + 2), r4, r5
    TWO (\at + 4), r6, r7
    TWO (\at + 6), r8, r9
    .endm

    FUNCTION ef_matvec_s8_s16_armv7m
    PROLOGUE
    adds r4, #1
    lsrs r4, #1
    add lr, r1, r4, lsl #2
    str lr, [sp, #X_END]
    rsbs r4, #0
    and r4, #3
    str r1, [sp, #X]
    lsl r5, r4, #4
    str r5, [sp, #SKIP]
    adr r3, 3f
    mov r5, #(4f - 3f)
    mla r3, r4, r5, r3
    orr r3, #1
    str r3, [sp, #ENTRY]

8:  ldmia r0!, {r2-r9}
    ldr lr, [sp, #X_END]
    ldr r1, [sp, #X]
    ldr r10, [sp, #SKIP]
    sub r0, r10
    ldr r10, [sp, #ENTRY]
    bx r10
    .align 2
3:  COLUMN 0
    COLUMN 8
4:  COLUMN 16
    COLUMN 24
    COLUMN 32
    COLUMN 40
    COLUMN 48
    COLUMN 56
    adds r0, #64
    cmp r1, lr
    bne.w 3b
    FINISH
    END ef_matvec_s8_s16_armv7m

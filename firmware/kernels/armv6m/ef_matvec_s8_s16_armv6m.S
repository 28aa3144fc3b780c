/*
 * Matrix-vector product for Armv6-M: int8 weights, any int16 x. 51 instructions for 16 MACs.
 *
 * Weights are one stream. A group of eight rows is
 *   8 words           bias
 *   8 bytes           weights w + 128, for each column
 *   8 words           multipliers
 * with rows padded by zeros and columns to an even number by bytes of 0, so that the x behind the
 * last one does not count.
 *
 * Unsigned bytes, as LDRB takes an immediate offset and LDRSB none: the accumulators start at
 * bias - 128 X, where X is the sum of x. All sums may wrap, as the last one fits 32 bits. Two
 * products in one MULS would not be exact: each takes up to 19 bits of its 32.
 *
 * Requantization is (v m + 2^31) >> 32 from four products of 16 bits, with v = a 2^16 + b,
 * m = c 2^16 + d, all but a not negative: v m / 2^16 = a c 2^16 + a d + (b c + (b d >> 16)),
 * rounded down. In a d = e 2^16 + f the sum f + b c + (b d >> 16) < 2^31 + 2^16 fits, and the bit
 * that LSRS shifts out last is what rounding adds.
 *
 * Registers: r0 stream, r1 x, r5 its end, r2-r4 a pair of x, x, w; accumulators of the rows:
 * r8 r9 r6 r7 r10 r11 r12 lr.
 */
    .syntax unified
    .thumb

/* offsets in ef_matrix */
    .equ WEIGHTS, 4
    .equ ROWS, 16
    .equ COLS, 18
    .equ SHIFT_OF, 20

/* the frame */
    .equ X, 0
    .equ X_END, 4
    .equ ENTRY, 8
    .equ OFFSET, 12 /* 128 X */
    .equ Y, 16
    .equ Y_END, 20
    .equ SHIFT, 24
    .equ FRAME, 28

    .macro MAC acc, at
    ldrb r4, [r0, #\at]
    muls r4, r3
    add \acc, r4
    .endm

    .macro COLUMN at
    MAC r8, \at
    MAC r9, (\at + 1)
    MAC r6, (\at + 2)
    MAC r7, (\at + 3)
    MAC r10, (\at + 4)
    MAC r11, (\at + 5)
    MAC r12, (\at + 6)
    MAC lr, (\at + 7)
    .endm

    .macro COLUMNS at
    ldmia r1!, {r2}
    sxth r3, r2
    COLUMN \at
    asrs r3, r2, #16
    COLUMN (\at + 8)
    .endm

    .section .text.ef_matvec_s8_s16_armv6m, "ax", %progbits
    .align 2
    .global ef_matvec_s8_s16_armv6m
    .type ef_matvec_s8_s16_armv6m, %function
    .thumb_func
ef_matvec_s8_s16_armv6m:
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    sub sp, #FRAME
    str r1, [sp, #X]
    str r2, [sp, #Y]
    ldrh r3, [r0, #ROWS]
    lsls r3, #1
    adds r2, r3
    str r2, [sp, #Y_END]
    ldrb r3, [r0, #SHIFT_OF]
    str r3, [sp, #SHIFT]
    ldrh r4, [r0, #COLS]
    ldr r0, [r0, #WEIGHTS]
    adds r3, r4, #1
    lsrs r3, #1
    lsls r5, r3, #2
    adds r5, r1
    str r5, [sp, #X_END]
    adr r2, 1f
    lsrs r3, #1
    bcc 9f
    adr r2, 2f
9:  adds r2, #1
    str r2, [sp, #ENTRY]
    movs r3, #0
    subs r4, #1
    lsls r4, #1
8:  ldrsh r5, [r1, r4]
    adds r3, r5
    subs r4, #2
    bpl 8b
    lsls r3, #7
    str r3, [sp, #OFFSET]

3:
    ldr r5, [sp, #OFFSET]
    ldmia r0!, {r1-r4, r6, r7}
    subs r1, r5
    subs r2, r5
    subs r3, r5
    subs r4, r5
    subs r6, r5
    subs r7, r5
    mov r8, r1
    mov r9, r2
    mov r10, r6
    mov r11, r7
    mov r6, r3
    mov r7, r4
    ldmia r0!, {r1, r2}
    subs r1, r5
    subs r2, r5
    mov r12, r1
    mov lr, r2
    ldr r1, [sp, #X]
    ldr r5, [sp, #X_END]
    ldr r2, [sp, #ENTRY]
    bx r2
    .align 2
2:  subs r0, #16
    b 4f
    .align 2
1:  COLUMNS 0
4:  COLUMNS 16
    adds r0, #32
    cmp r1, r5
    bne 1b

    mov r1, r10
    mov r2, r11
    mov r3, r12
    mov r4, lr
    push {r1-r4}
    mov r4, r8
    mov r5, r9
    push {r4-r7}
    ldr r6, [sp, #SHIFT + 32]
    ldr r7, [sp, #Y + 32]
    ldr r1, [sp, #Y_END + 32]
    add r3, sp, #32
    mov r10, r3
    mov r9, r1
    movs r2, r7
    adds r2, #16
    cmp r2, r1
    bls 5f
    mov r2, r1
5:  mov r8, r2 /* y behind this group's */
6:  pop {r1}
    lsls r1, r6
    uxth r2, r1      /* b */
    asrs r1, r1, #16 /* a */
    ldrh r3, [r0]    /* d */
    ldrh r4, [r0, #2] /* c */
    mov r5, r2
    muls r5, r3
    lsrs r5, #16
    muls r2, r4
    adds r2, r5
    muls r3, r1 /* a d */
    muls r1, r4
    uxth r4, r3
    asrs r3, r3, #16
    adds r1, r3
    adds r2, r4
    lsrs r2, #16
    adcs r1, r2
    sxth r2, r1
    cmp r2, r1
    beq 7f
    asrs r1, r1, #31 /* saturate: 0x7fff or its complement */
    movs r2, #0
    mvns r2, r2
    lsrs r2, #17
    eors r1, r2
7:  strh r1, [r7]
    adds r7, #2
    adds r0, #4
    cmp r7, r8
    bne 6b
    cmp r7, r9
    beq 9f
    str r7, [sp, #Y]
    b 3b
9:  mov sp, r10
    add sp, #FRAME
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}
    .size ef_matvec_s8_s16_armv6m, . - ef_matvec_s8_s16_armv6m

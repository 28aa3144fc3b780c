/*
 * Unstructured sparse matrix-vector product for Armv6-M: int8 weights, any int16 x, at most 128
 * columns. 5 instructions per weight that is not zero, 36 per row.
 *
 * Weights are one stream:
 *   a word      bytes of what follows up to the items
 *   4 words     for each row: bias, bytes of the items of its positive weights, of its negative
 *               ones, multiplier; up to 32 bytes, or 34: the first 16 of them, and a word before
 *               the multiplier tells how many follow, in the same way
 *   4 words     of a row whose first number is 36: the end
 *   2 bytes     an item for each weight that is not zero: its column times two, its magnitude
 *
 * By their signs, as LDRB takes an immediate offset and LDRSB none. 16 items are unrolled for each
 * and entered so that as many run.
 *
 * Registers: r0 items, 32 bytes before the end of those that run, r1 x, r2 accumulator, r3 and r5
 * bytes of items, r4 an item's, r6 table of entries, r7 rows, r8 shift, r9 x, r10 y.
 */
#include "ef_matvec_armv6m.inc"

    .macro ITEM op, at
    ldrb r3, [r0, #\at]
    ldrb r4, [r0, #(\at + 1)]
    ldrsh r3, [r1, r3]
    muls r4, r3
    \op r2, r4
    .endm

    .macro ITEMS op, at
    .if \at < 32
    ITEM \op, \at
    ITEMS \op, (\at + 2)
    .endif
    .endm

/* The items of one sign; distances are the same for both, so they share a table. */
    .macro SIGN op, bytes
1:  adds r0, \bytes
    ldrh r4, [r6, \bytes]
2:  add pc, r4
    nop
3:  subs r0, #(34 - 16) /* eight items */
    ITEMS \op, 16
    ldmia r7!, {\bytes}
    b 1b
4:  ITEMS \op, 0
5:
    .endm

    FUNCTION ef_matvec_sparse_1x1_s8_s16_armv6m
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    push {r4-r6}
    mov r9, r1
    mov r10, r2
    ldrb r3, [r0, #EF_MATRIX_SHIFT]
    mov r8, r3
    ldr r7, [r0, #EF_MATRIX_WEIGHTS]
    ldmia r7!, {r0}
    adds r0, r7
    subs r0, #32
    adr r6, 9f
6:  ldmia r7!, {r2, r3, r5}
    SIGN adds, r3
    .set to_long, 3b - 2b - 4
    .set to_end, 5b - 2b - 4
    .set item, (5b - 4b) / 16
    .set from, 2b + 4
    SIGN subs, r5
    mov r3, r8
    lsls r2, r3
    REQUANTIZE r2, r5, r1, r7, r3
    mov r4, r10
    strh r2, [r4]
    adds r4, #2
    mov r10, r4
    mov r1, r9
    adds r7, #4
    b 6b
    .align 2
9:  .set left, 0
    .rept 17
    .hword to_end - left * item
    .set left, left + 1
    .endr
    .hword to_long, 8f - from
    .align 1
8:  pop {r4-r6}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    pop {r4-r7, pc}
    END ef_matvec_sparse_1x1_s8_s16_armv6m

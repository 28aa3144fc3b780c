/*
 * Matrix-vector product, int4 weights, any int16 x. 35 instructions for 32 MACs.
 *
 * A word holds eight columns of a row, four bits w + 8 each: AND takes two of them to halfwords,
 * which SMLAD multiplies with a pair of x. The sums are 8 X too large, X the sum of x; both may
 * wrap. Where four columns are left, they go first, two rows per word.
 */
#include "ef_matvec_dsp.inc"

    .macro TWO acc, w, shift, x
    and r12, lr, \w, lsr #\shift
    smlad \acc, r12, \x, \acc
    .endm

    .macro FOUR acc, w, shift, x01, x23
    TWO \acc, \w, \shift, \x01
    TWO \acc, \w, (\shift + 4), \x23
    .endm

    .macro ROW acc, w
    FOUR \acc, \w, 0, r6, r7
    FOUR \acc, \w, 8, r8, r9
    .endm

    .macro BLOCK
    ldmia.w r1!, {r6-r9}
    ldmia.w r0!, {r10, r11}
    ROW r2, r10
    ROW r3, r11
    ldmia.w r0!, {r10, r11}
    ROW r4, r10
    ROW r5, r11
    .endm

    FUNCTION ef_matvec_wide_s4_s16_dsp
    PROLOGUE
    str r12, [sp, #SHIFT_BY]
    adds r4, #3
    lsrs r4, #2
    lsls r4, #1
    SUM_OF_X
    lsl r12, r12, #3 /* what stands behind the last column cancels out */
    ENTER 2
    ENTER_REST
    b 80f
    .align 2
10: ldmia.w r0!, {r2-r5}
    mov lr, #0x000f000f
    ldr.w pc, [sp, #ENTRY]
11: /* the columns are whole fours */
15: ldmia.w r1!, {r6, r7}
    ldmia.w r0!, {r10, r11}
    FOUR r2, r10, 0, r6, r7
    FOUR r3, r10, 8, r6, r7
    FOUR r4, r11, 0, r6, r7
    FOUR r5, r11, 8, r6, r7
    ldr.w pc, [sp, #BLOCKS]
    EIGHT_BLOCKS limit=r12
    ldm sp, {r1, r6, r7, r12, lr}
    sub r2, r2, r12
    sub r3, r3, r12
    sub r4, r4, r12
    sub r5, r5, r12
    REQUANTIZE_BY lr
    STORE_GROUP
    END ef_matvec_wide_s4_s16_dsp

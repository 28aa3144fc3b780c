/*
 * Matrix-vector product of at most 8 columns, weights stored in 16 bits: x stays in registers.
 *
 * The stream of a group is start of the accumulators, A B C D of each pair of columns, a word
 * each, multipliers that already hold the shift.
 *
 * Registers: r0 stream, r1 y, r2-r5 x, r6-r9 accumulators.
 */
#include "ef_matvec_dsp.inc"

    .macro ROWS_OF x
    ldmia.w r0!, {r10-r12, lr}
    smlad r6, r10, \x, r6
    smlad r7, r11, \x, r7
    smlad r8, r12, \x, r8
    smlad r9, lr, \x, r9
    .endm

    FUNCTION ef_matvec_narrow_s16_s16_dsp
    PROLOGUE
    adds r4, #1
    lsrs r4, #1 /* pairs; theirs are the last registers */
    add r8, r1, r4, lsl #2
    rsb r9, r4, #4
    adr.w r10, 20f + 1
    mov r11, #(21f - 20f)
    mla r10, r9, r11, r10
    str r10, [sp, #ENTRY]
    str r7, [sp, #Y_END]
    ldr r5, [r8, #-4]
    cmp r4, #3
    it hs
    ldrhs r3, [r8, #-12]
    it hi
    ldrhi r2, [r8, #-16]
    cmp r4, #2
    it hs
    ldrhs r4, [r8, #-8]
    mov r1, r6
    mov r10, r7
    b 80f
    .align 2
10: ldmia.w r0!, {r6-r9}
    ldr.w pc, [sp, #ENTRY]
20: ROWS_OF r2
21: ROWS_OF r3
    ROWS_OF r4
    ROWS_OF r5
    ldmia.w r0!, {r10-r12, lr}
    smmulr r6, r6, r10
    smmulr r7, r7, r11
    smmulr r8, r8, r12
    smmulr r9, r9, lr
    ssat r6, #16, r6
    ssat r7, #16, r7
    ssat r8, #16, r8
    ssat r9, #16, r9
    ldr r10, [sp, #Y_END]
    pkhbt r6, r6, r7, lsl #16
    pkhbt r8, r8, r9, lsl #16
    str r6, [r1], #4 /* y may be odd halfwords */
    str r8, [r1], #4
    FINISH 10b, r1, r10, r11, r12, r6, r7
    END ef_matvec_narrow_s16_s16_dsp

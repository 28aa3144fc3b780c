/*
 * Delta matrix-vector product, 8 bits per weight. 11 instructions for 8 MACs of a column.
 *
 * Sums as in ef_delta_matvec_s16_s16_dsp. The words 2^24 a + b + 128 of two pairs of rows are one
 * word of flash: bytes 0 and 3 of it, and of it turned by 16 bits. START sums the changes of x,
 * which take away what the offsets add.
 */
#include "ef_delta_matvec_dsp.inc"
#include "ef_delta_matvec_long.inc"

/* Stores minus the sum of the list from r11 to r12, the mask, the offset. */
    .macro START
    movs r0, #0
    b 58f
57: ldr r1, [r11, #4]
    subs r0, r1
    adds r11, #8
58: cmp r11, r12
    bne 57b
    str r0, [sp, #CONSTANTS]
    movw r0, #0x00ff
    movt r0, #0xff00
    mov r1, #128
    strd r0, r1, [sp, #(CONSTANTS + 4)]
    add r11, sp, #LIST
    .endm

    .macro LOAD
    ldm.w sp, {r7-r12, lr} /* r8, r9 and r10 are not used */
    ldm.w r7, {r0-r6, r8}
    smlal r0, r1, r11, lr
    smlal r2, r3, r11, lr
    smlal r4, r5, r11, lr
    smlal r6, r8, r11, lr
    .endm
    .equ HEAD, 28
    .equ KEEPS_SUMS, 0

    .macro COLUMN place
    ldrd r7, lr, [sp, #(\place)]
    ldrd r9, r10, [r7], #8
    str r7, [sp, #(\place)]
    and.w r11, r12, r9, ror #16
    and.w r9, r12, r9
    smlal r0, r1, r9, lr
    smlal r2, r3, r11, lr
    and.w r11, r12, r10, ror #16
    and.w r10, r12, r10
    smlal r4, r5, r10, lr
    smlal r6, r8, r11, lr
    .endm

    FUNCTION ef_delta_matvec_s8_s16_dsp
    DELTA_MATVEC 20, 0, 1
    END ef_delta_matvec_s8_s16_dsp

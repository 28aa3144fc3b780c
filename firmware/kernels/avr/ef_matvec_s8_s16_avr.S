/*
 * Matrix-vector product for AVR: 15 cycles per multiplication, four rows at a time share x.
 *
 * Weights: 1 word, what the multipliers have not of the matrix's shift; then for each 4 rows
 *   4 words     bias - 2^15 times the sum of the row's weights
 *   1 word      for each column: bytes w + 128, the first row in the lowest one
 *   4 words     multipliers, shifted
 *
 * Both factors are unsigned, x as x + 2^15, so that no product needs a sign: 128 times the sum of
 * these x is taken off each row. Sums are right modulo 2^32. A row's sum has its third byte twice:
 * carries of products with low bytes of x are counted apart, at most 255.
 */
/* clang-format off */
#include "ef_asm.h"

#define FIRST 2 /* r2..r6, r7..r11, r12..r16, r17..r21: sum of a row, 4 bytes, and the carries */
#define weight r22
#define x_low r23
#define x_high r24
#define zero r25
#define column r28

/* behind Y: four sums, then these */
#define SUMS 1
#define X_AT 17
#define Y_AT 19
#define ROWS_AT 21
#define COLS_AT 23
#define TAKEN_OFF 24
#define SHIFT_AT 28
#define FRAME 28
#define SPL 0x3d
#define SPH 0x3e
#define SREG 0x3f

    .macro start_row sum
    .irp byte, 0, 1, 2, 3
    lpm \sum + \byte, Z+
    .endr
    add \sum, r22
    adc \sum + 1, r23
    adc \sum + 2, r24
    adc \sum + 3, r25
    clr \sum + 4
    .endm

    .macro multiply sum
    lpm weight, Z+
    mul weight, x_low
    add \sum, r0
    adc \sum + 1, r1
    adc \sum + 4, zero
    mul weight, x_high
    add \sum + 1, r0
    adc \sum + 2, r1
    adc \sum + 3, zero
    .endm

    .macro end_row sum, place
    add \sum + 2, \sum + 4
    adc \sum + 3, zero
    mov r24, r23
    rjmp .Lshifted\@
.Lshift\@:
    lsl \sum
    rol \sum + 1
    rol \sum + 2
    rol \sum + 3
.Lshifted\@:
    dec r24
    brpl .Lshift\@
    .irp byte, 0, 1, 2, 3
    std Y + \place + \byte, \sum + \byte
    .endr
    .endm

    /* r14..r17, r24 = r18..r21 times m, added to five bytes of the product from `low` on */
    .macro multiply_byte m, low
    mul r18, \m
    movw r14, r0
    mul r20, \m
    movw r16, r0
    clr r24
    mul r19, \m
    add r15, r0
    adc r16, r1
    adc r17, zero
    adc r24, zero
    mul r21, \m
    add r17, r0
    adc r24, r1
    add \low, r14
    adc \low + 1, r15
    adc \low + 2, r16
    adc \low + 3, r17
    adc \low + 4, r24
    .endm

    .macro stack_pointer
    in r0, SREG
    cli
    out SPH, r29
    out SREG, r0 /* interrupts are on again after the next instruction */
    out SPL, r28
    .endm

/* void ef_matvec_s8_s16_avr(matrix r24, x r22, y r20) */
FUNCTION ef_matvec_s8_s16_avr
    .irp saved, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 28, 29
    push \saved
    .endr
    in r28, SPL
    in r29, SPH
    sbiw r28, FRAME
    stack_pointer
    std Y + X_AT, r22
    std Y + X_AT + 1, r23
    std Y + Y_AT, r20
    std Y + Y_AT + 1, r21
    movw r30, r24
    ldd r18, Z + EF_MATRIX_ROWS
    ldd r19, Z + EF_MATRIX_ROWS + 1
    std Y + ROWS_AT, r18
    std Y + ROWS_AT + 1, r19
    ldd r18, Z + EF_MATRIX_COLS
    std Y + COLS_AT, r18
    ldd r0, Z + EF_MATRIX_WEIGHTS
    ldd r31, Z + EF_MATRIX_WEIGHTS + 1
    mov r30, r0
    lpm r0, Z
    std Y + SHIFT_AT, r0
    adiw r30, 4

    /* -128 times the sum of x + 2^15 */
    movw r26, r22
    clr zero
    clr r20
    clr r21
    clr r22
1:  ld x_low, X+
    ld x_high, X+
    subi x_high, 0x80
    add r20, x_low
    adc r21, x_high
    adc r22, zero
    dec r18
    brne 1b
    clr r19
    lsr r22
    ror r21
    ror r20
    ror r19
    clr r0
    sub r0, r19
    std Y + TAKEN_OFF, r0
    .irp byte, 0, 1, 2
    clr r0
    sbc r0, 20 + \byte
    std Y + TAKEN_OFF + 1 + \byte, r0
    .endr

2:  ldd r22, Y + TAKEN_OFF
    ldd r23, Y + TAKEN_OFF + 1
    ldd r24, Y + TAKEN_OFF + 2
    ldd r25, Y + TAKEN_OFF + 3
    .irp row, 0, 1, 2, 3
    start_row FIRST + 5 * \row
    .endr
    clr zero
    ldd r26, Y + X_AT
    ldd r27, Y + X_AT + 1
    ldd column, Y + COLS_AT
3:  ld x_low, X+
    ld x_high, X+
    subi x_high, 0x80
    .irp row, 0, 1, 2, 3
    multiply FIRST + 5 * \row
    .endr
    dec column
    brne 3b

    in r28, SPL
    in r29, SPH
    ldd r23, Y + SHIFT_AT
    .irp row, 0, 1, 2, 3
    end_row FIRST + 5 * \row, SUMS + 4 * \row
    .endr
    movw r26, r28
    adiw r26, SUMS
    ldi r23, 4
    ldd r18, Y + ROWS_AT
    ldd r19, Y + ROWS_AT + 1
    subi r18, 4
    sbci r19, 0
    brcc 4f
    ldd r23, Y + ROWS_AT
    clr r18 /* no rows are left */
    clr r19
4:  std Y + ROWS_AT, r18
    std Y + ROWS_AT + 1, r19
    ldd r18, Y + Y_AT
    ldd r19, Y + Y_AT + 1
    movw r28, r18

    /* (sum * multiplier + 2^31) >> 32: the product in r2..r9 */
5:  .irp byte, 18, 19, 20, 21
    ld \byte, X+
    .endr
    .irp byte, 10, 11, 12, 13
    lpm \byte, Z+
    .endr
    clr r2
    clr r3
    movw r4, r2
    movw r6, r2
    movw r8, r2
    ldi r24, 0x80
    mov r5, r24
    multiply_byte r10, 2
    multiply_byte r11, 3
    multiply_byte r12, 4
    multiply_byte r13, 5
    sbrs r21, 7
    rjmp 6f
    sub r6, r10 /* the sum is less than 0: it was read as 2^32 more */
    sbc r7, r11
    sbc r8, r12
    sbc r9, r13
6:  mov r24, r7
    lsl r24
    sbc r24, r24
    cp r8, r24
    cpc r9, r24
    breq 7f
    ldi r24, 0xff
    ldi r18, 0x7f
    sbrc r9, 7
    subi r24, 0xff /* 0x8000 */
    sbrc r9, 7
    ldi r18, 0x80
    mov r6, r24
    mov r7, r18
7:  st Y+, r6
    st Y+, r7
    dec r23
    breq 8f
    rjmp 5b

8:  movw r18, r28
    in r28, SPL
    in r29, SPH
    std Y + Y_AT, r18
    std Y + Y_AT + 1, r19
    ldd r18, Y + ROWS_AT
    ldd r19, Y + ROWS_AT + 1
    or r18, r19
    breq 9f
    rjmp 2b

9:  adiw r28, FRAME
    stack_pointer
    .irp saved, 29, 28, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2
    pop \saved
    .endr
    clr r1
    ret
END ef_matvec_s8_s16_avr

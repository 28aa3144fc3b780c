/* Start-up of all AVR boards: vectors, stack; libgcc copies .data and clears .bss in .init4. */
#include "ef_hal_bare.h"

#include <avr/io.h>

    .file "start.S" /* else the linker names the object, with its folder */

    .macro VECTOR number
    .weak __vector_\number
    .set __vector_\number, unexpected
    jmp __vector_\number
    .endm

    .section .vectors, "ax", @progbits
    .global __vectors
__vectors:
    jmp start
    .set number, 1
    .altmacro
    .rept _VECTORS_SIZE / 4 - 1
    VECTOR %number
    .set number, number + 1
    .endr
    .noaltmacro

    .section .init2, "ax", @progbits
start:
    clr r1
    out _SFR_IO_ADDR(SREG), r1
    ldi r28, lo8(__stack_top - 1)
    ldi r29, hi8(__stack_top - 1)
    out _SFR_IO_ADDR(SPH), r29
    out _SFR_IO_ADDR(SPL), r28
    ldi r26, lo8(__stack_limit)
    ldi r27, hi8(__stack_limit)
    ldi r24, EF_STACK_PAINT & 0xff /* four equal bytes */
1:  st X+, r24
    cp r28, r26
    cpc r29, r27
    brsh 1b

    .section .init9, "ax", @progbits
    call main
    cli
2:  sleep
    rjmp 2b

/* What __builtin_trap() calls. */
    .section .text.abort, "ax", @progbits
    .global abort
    .type abort, @function
abort:
    ldi r22, 0
    rjmp fault
    .size abort, . - abort

/* Interrupts without a handler. */
    .type unexpected, @function
unexpected:
    ldi r22, 1

/* ef_hal_fault(r22, 0, byte address that the stack has, 0) */
fault:
    cli
    clr r1
    clr r16
#ifdef __AVR_3_BYTE_PC__
    pop r16
#endif
    pop r15
    pop r14
    clr r17
    lsl r14
    rol r15
    rol r16
    clr r23
    clr r24
    clr r25
    clr r18
    clr r19
    movw r20, r18
    movw r10, r18
    movw r12, r18
    jmp ef_hal_fault
    .size unexpected, . - unexpected

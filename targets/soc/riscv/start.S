/* Start-up of all bare-metal RISC-V boards. Interrupts stay disabled (mstatus.MIE = 0) for good,
 * so that instruction counts are the same in every run. */
#include "ef_hal_bare.h"

    .option arch, +zicsr
    .option arch, +zifencei

    .section .start, "ax"
    .globl _start
_start:
    csrci mstatus, 8
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la sp, __stack_top
    la t0, ef_fault
    csrw mtvec, t0

    la t0, __stack_limit
    li t1, EF_STACK_PAINT
1:  sw t1, 0(t0)
    addi t0, t0, 4
    bltu t0, sp, 1b

    la t4, __copies_start
    la t5, __copies_end
2:  lw t0, 0(t4)
    lw t1, 4(t4)
    lw t2, 8(t4)
    addi t4, t4, 12
    j 4f
3:  lw t3, 0(t0)
    sw t3, 0(t1)
    addi t0, t0, 4
    addi t1, t1, 4
4:  bltu t1, t2, 3b
    bltu t4, t5, 2b
    fence.i /* code was written */

    la t1, __bss_start
    la t2, __bss_end
5:  bgeu t1, t2, 6f
    sw zero, 0(t1)
    addi t1, t1, 4
    j 5b

6:  call main
7:  wfi
    j 7b

    /* Many cores (Ibex, CV32E40P) take a table of vectors, whose first is of exceptions, and whose
     * address is a multiple of 256; lower bits of mtvec are lost. A fresh stack: the old one may be
     * full. Not in .start: the ESP32-C3 begins with it right behind eight bytes. */
    .section .text.ef_fault, "ax"
    .align 8
    .globl ef_fault
ef_fault:
    csrr a0, mcause
    csrr a1, mtval
    csrr a2, mepc
    mv a3, ra
    la sp, __stack_top
    j ef_hal_fault

/* Start-up of all bare-metal RISC-V boards. Interrupts stay disabled (mstatus.MIE = 0) for good,
 * so that instruction counts are the same in every run. */
#include "ef_hal_bare.h"

    .option arch, +zicsr

    .section .start, "ax"
    .globl _start
_start:
    csrci mstatus, 8
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la sp, __stack_top
    la t0, fault
    csrw mtvec, t0

    la t0, __stack_limit
    li t1, EF_STACK_PAINT
1:  sw t1, 0(t0)
    addi t0, t0, 4
    bltu t0, sp, 1b

    la t0, __data_load
    la t1, __data_start
    la t2, __data_end
2:  bgeu t1, t2, 3f
    lw t3, 0(t0)
    sw t3, 0(t1)
    addi t0, t0, 4
    addi t1, t1, 4
    j 2b

3:  la t1, __bss_start
    la t2, __bss_end
4:  bgeu t1, t2, 5f
    sw zero, 0(t1)
    addi t1, t1, 4
    j 4b

5:  call main
6:  wfi
    j 6b

    /* a fresh stack: the old one may be full */
    .align 2
fault:
    csrr a0, mcause
    csrr a1, mtval
    csrr a2, mepc
    mv a3, ra
    la sp, __stack_top
    j ef_hal_fault

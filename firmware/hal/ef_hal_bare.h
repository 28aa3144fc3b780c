/* Contract of start-up code and the parts of the HAL of bare-metal boards. */
#ifndef EF_HAL_BARE_H
#define EF_HAL_BARE_H

/* Start-up code fills the stack with it; the high-water mark is where it ends. */
#define EF_STACK_PAINT 0xA5A5A5A5

#ifndef __ASSEMBLER__
#include <stdint.h>

/* Clocks, watchdogs and pins of a SoC; called once, before the UART is used. The one in
 * ef_hal_bare.c, which a SoC's own replaces, does nothing. */
void ef_soc_init(void);

/* Start the counter of ef_hal_cycles(). */
void ef_cycles_init(void);

/* Write one line, "FAULT cause=... status=... pc=... ra=..." in hexadecimal, and stop.
 * Cortex-M: exception number, CFSR (0 on Armv6-M), PC and LR of the faulting code.
 * RISC-V: mcause, mtval, mepc, ra. */
__attribute__((noreturn)) void ef_hal_fault(uint32_t cause, uint32_t status, uint32_t pc,
                                            uint32_t ra);
#endif

#endif

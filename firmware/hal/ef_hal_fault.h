/* Called by start-up code, which is the only part that knows of exceptions. */
#ifndef EF_HAL_FAULT_H
#define EF_HAL_FAULT_H

#include <stdint.h>

/* Write one line, "FAULT cause=... status=... pc=... ra=..." in hexadecimal, and stop.
 * Cortex-M: exception number, CFSR (0 on Armv6-M), PC and LR of the faulting code.
 * RISC-V: mcause, mtval, mepc, ra. */
__attribute__((noreturn)) void ef_hal_fault(uint32_t cause, uint32_t status, uint32_t pc,
                                            uint32_t ra);

#endif

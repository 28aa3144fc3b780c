/* Cycle counter of RISC-V's privileged architecture: mcycle. */
#include "ef_hal.h"
#include "ef_hal_bare.h"

/* The control and status registers are an extension of their own to assemblers of 2022 and later.
 */
#define WITH_CSR(instruction) ".option push\n.option arch, +zicsr\n" instruction "\n.option pop"

void ef_cycles_init(void) {
}

uint32_t ef_hal_cycles(void) {
    uint32_t cycles;
    __asm volatile(WITH_CSR("csrr %0, mcycle") : "=r"(cycles));
    return cycles;
}

uint32_t ef_hal_cycles_hz(void) {
#ifdef EF_EMULATED
    return 0; /* the emulator's mcycle follows the clock of the machine that it runs on */
#else
    return EF_CLOCK_HZ;
#endif
}

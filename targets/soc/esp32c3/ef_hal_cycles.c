/* Cycle counter of the ESP32-C3, which has no mcycle: its performance counter, in machine mode.
 * Registers: ESP32-C3 Technical Reference Manual 1.0, 1.5. */
#include "ef_hal.h"
#include "ef_hal_bare.h"

#define WITH_CSR(instruction) ".option push\n.option arch, +zicsr\n" instruction "\n.option pop"

void ef_cycles_init(void) {
    const uint32_t on = 1;
    __asm volatile(WITH_CSR("csrw 0x7E0, %0") : : "r"(on)); /* mpcer: cycles */
    __asm volatile(WITH_CSR("csrw 0x7E1, %0") : : "r"(on)); /* mpcmr: count */
}

uint32_t ef_hal_cycles(void) {
    uint32_t cycles;
    __asm volatile(WITH_CSR("csrr %0, 0x7E2") : "=r"(cycles)); /* mpccr */
    return cycles;
}

uint32_t ef_hal_cycles_hz(void) {
    return EF_CLOCK_HZ;
}

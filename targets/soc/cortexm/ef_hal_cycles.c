/* Cycle counter of the DWT unit: Armv7-M and later. Registers: Arm DDI 0403E, C1.8. */
#include "ef_hal.h"
#include "ef_hal_bare.h"
#include "ef_hal_uart.h"

#define DEMCR EF_REG32(0xE000EDFCu)
#define DEMCR_TRCENA (1u << 24)
#define DWT_CTRL EF_REG32(0xE0001000u)
#define DWT_CTRL_CYCCNTENA 1u
#define DWT_CYCCNT EF_REG32(0xE0001004u)

static uint32_t cycles_hz;

void ef_cycles_init(void) {
#if __ARM_ARCH >= 7
    DEMCR |= DEMCR_TRCENA;
    DWT_CTRL |= DWT_CTRL_CYCCNTENA;
    const uint32_t before = DWT_CYCCNT;
    __asm volatile("isb" ::: "memory");
    /* QEMU has no DWT: it reads 0 */
    cycles_hz = DWT_CYCCNT != before ? EF_CLOCK_HZ : 0u;
#endif
}

uint32_t ef_hal_cycles(void) {
#if __ARM_ARCH >= 7
    return DWT_CYCCNT;
#else
    return 0;
#endif
}

uint32_t ef_hal_cycles_hz(void) {
    return cycles_hz;
}

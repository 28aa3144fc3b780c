/* RISC-V boards in machine mode: start of the HAL, waiting for serial input. */
#include "ef_hal.h"
#include "ef_hal_bare.h"
#include "ef_hal_uart.h"

/* Platform-level interrupt controller, context 0 (hart 0, machine mode); at the base that SiFive's
 * parts and QEMU's generic machine share. */
#define PLIC_BASE 0x0C000000u
#define PLIC_PRIORITY(irq) EF_REG32(PLIC_BASE + 4u * (irq))
#define PLIC_ENABLE(irq) EF_REG32(PLIC_BASE + 0x2000u + 4u * ((irq) / 32u))
#define PLIC_THRESHOLD EF_REG32(PLIC_BASE + 0x200000u)
#define PLIC_CLAIM EF_REG32(PLIC_BASE + 0x200004u)
#define PLIC_BIT(irq) (1u << ((irq) % 32u))

#define MIE_EXTERNAL (1u << 11)

/* The control and status registers are an extension of their own to assemblers of 2022 and later.
 */
#define WITH_CSR(instruction) ".option push\n.option arch, +zicsr\n" instruction "\n.option pop"

void ef_hal_init(void) {
    ef_soc_init();
    ef_cycles_init();
    ef_uart_init();
    PLIC_PRIORITY(EF_UART_IRQ) = 1;
    PLIC_ENABLE(EF_UART_IRQ) = PLIC_BIT(EF_UART_IRQ);
    PLIC_THRESHOLD = 0;
    const uint32_t mask = MIE_EXTERNAL;
    __asm volatile(WITH_CSR("csrs mie, %0") : : "r"(mask) : "memory");
}

/* The core sleeps until the interrupt is pending. mstatus.MIE is 0, so it wakes and goes on here;
 * no handler runs. Polling instead takes the emulator's lock all the time. */
int ef_hal_getc(void) {
    while (!ef_uart_readable()) {
        __asm volatile("wfi" ::: "memory");
        ef_uart_clear();
        const uint32_t claimed = PLIC_CLAIM;
        PLIC_CLAIM = claimed; /* completes it */
    }
    return ef_uart_read();
}

/* Cortex-M boards: start of the HAL, waiting for serial input. */
#include "ef_hal.h"
#include "ef_hal_bare.h"
#include "ef_hal_uart.h"

#define NVIC_ISER(irq) EF_REG32(0xE000E100u + 4u * ((irq) / 32u))
#define NVIC_ICPR(irq) EF_REG32(0xE000E280u + 4u * ((irq) / 32u))
#define NVIC_BIT(irq) (1u << ((irq) % 32u))

#define SYST_CSR EF_REG32(0xE000E010u)
#define SYST_RVR EF_REG32(0xE000E014u)

void ef_hal_init(void) {
    ef_soc_init();
    ef_uart_init();
#ifdef EF_EMULATED
    /* QEMU does not notice that the UART takes input now until something wakes its main loop, which
     * else happens up to a second later. Starting a timer wakes it. */
    SYST_RVR = 0xFFFFFFu;
    SYST_CSR = 5;
    SYST_CSR = 0;
#endif
    NVIC_ISER(EF_UART_IRQ) = NVIC_BIT(EF_UART_IRQ);
    ef_cycles_init();
}

/* The core sleeps until the interrupt is pending. PRIMASK is set, so it wakes and goes on here; no
 * handler runs. Polling instead takes the emulator's lock all the time and slows input down. */
int ef_hal_getc(void) {
    while (!ef_uart_readable()) {
        __asm volatile("dsb\nwfi" ::: "memory");
        ef_uart_clear();
        NVIC_ICPR(EF_UART_IRQ) = NVIC_BIT(EF_UART_IRQ);
    }
    return ef_uart_read();
}

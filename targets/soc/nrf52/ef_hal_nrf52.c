/* Nordic nRF52: crystal, instruction cache, pins of the UART.
 * Registers: nRF52840 Product Specification 1.7, chapters NVMC, CLOCK, GPIO and UART. */
#include "ef_hal_bare.h"
#include "ef_hal_uart.h"

#define CLOCK_TASKS_HFCLKSTART EF_REG32(0x40000000u)
#define CLOCK_EVENTS_HFCLKSTARTED EF_REG32(0x40000100u)

#define NVMC_ICACHECNF EF_REG32(0x4001E540u)
#define ICACHECNF_CACHEEN 1u

#define GPIO(pin, offset) EF_REG32(0x50000000u + 0x300u * ((pin) / 32u) + (offset))
#define GPIO_OUTSET(pin) GPIO(pin, 0x508u)
#define GPIO_DIRSET(pin) GPIO(pin, 0x518u)
#define GPIO_PIN_CNF(pin) GPIO(pin, 0x700u + 4u * ((pin) % 32u))
#define GPIO_BIT(pin) (1u << ((pin) % 32u))
#define PIN_CNF_PULL_UP (3u << 2) /* an input, connected */

/* The crystal takes less than a millisecond. Without one the core runs on, at the same 64 MHz of
 * the RC oscillator, which is less exact. */
#define MOST_POLLS 100000u

void ef_soc_init(void) {
    NVMC_ICACHECNF = ICACHECNF_CACHEEN;
    CLOCK_EVENTS_HFCLKSTARTED = 0;
    CLOCK_TASKS_HFCLKSTART = 1;
    for (uint32_t polls = 0; polls < MOST_POLLS && CLOCK_EVENTS_HFCLKSTARTED == 0u; polls++) {
    }
    GPIO_OUTSET(EF_UART_TX) = GPIO_BIT(EF_UART_TX); /* an idle line is high */
    GPIO_DIRSET(EF_UART_TX) = GPIO_BIT(EF_UART_TX);
    GPIO_PIN_CNF(EF_UART_RX) = PIN_CNF_PULL_UP;
}

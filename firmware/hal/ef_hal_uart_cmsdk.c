/* UART of Arm's Cortex-M System Design Kit (MPS2 and MPS3 boards): no FIFO.
 * Registers: Arm DDI 0479D, chapter 4.3. */
#include "ef_hal_uart.h"

#define DATA EF_REG32(EF_UART_BASE + 0x00u)
#define STATE EF_REG32(EF_UART_BASE + 0x04u)
#define CTRL EF_REG32(EF_UART_BASE + 0x08u)
#define INTCLEAR EF_REG32(EF_UART_BASE + 0x0Cu)
#define BAUDDIV EF_REG32(EF_UART_BASE + 0x10u)

#define STATE_TX_FULL 1u
#define STATE_RX_FULL 2u
#define CTRL_TX_ENABLE 1u
#define CTRL_RX_ENABLE 2u
#define CTRL_RX_INTERRUPT 8u
#define INT_RX 2u

void ef_uart_init(void) {
    const uint32_t divider = EF_UART_CLOCK_HZ / EF_UART_BAUD;
    BAUDDIV = divider < 16u ? 16u : divider;
    CTRL = CTRL_TX_ENABLE | CTRL_RX_ENABLE | CTRL_RX_INTERRUPT;
}

int ef_uart_readable(void) {
    return (STATE & STATE_RX_FULL) != 0u;
}

uint8_t ef_uart_read(void) {
    return (uint8_t)DATA;
}

void ef_uart_write(uint8_t byte) {
    while (STATE & STATE_TX_FULL) {
    }
    DATA = byte;
}

void ef_uart_clear(void) {
    INTCLEAR = INT_RX;
}

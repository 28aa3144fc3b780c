/* NS16550A UART with its 16-byte FIFOs; registers one byte apart.
 * The boot ROM or the emulator sets the baud rate. */
#include "ef_hal_uart.h"

#define DATA EF_REG8(EF_UART_BASE + 0u)
#define INT_ENABLE EF_REG8(EF_UART_BASE + 1u)
#define FIFO_CONTROL EF_REG8(EF_UART_BASE + 2u)
#define LINE_CONTROL EF_REG8(EF_UART_BASE + 3u)
#define MODEM_CONTROL EF_REG8(EF_UART_BASE + 4u)
#define LINE_STATUS EF_REG8(EF_UART_BASE + 5u)

#define INT_RX 1u
#define FIFO_ENABLE_AND_RESET 7u
#define LINE_8N1 3u
#define MODEM_INTERRUPT_OUT 8u
#define STATUS_RX_READY 1u
#define STATUS_TX_EMPTY 0x20u

void ef_uart_init(void) {
    LINE_CONTROL = LINE_8N1;
    FIFO_CONTROL = FIFO_ENABLE_AND_RESET;
    MODEM_CONTROL = MODEM_INTERRUPT_OUT;
    INT_ENABLE = INT_RX;
}

int ef_uart_readable(void) {
    return (LINE_STATUS & STATUS_RX_READY) != 0u;
}

uint8_t ef_uart_read(void) {
    return DATA;
}

void ef_uart_write(uint8_t byte) {
    while (!(LINE_STATUS & STATUS_TX_EMPTY)) {
    }
    DATA = byte;
}

void ef_uart_clear(void) {
    /* reading the FIFO empty withdraws the request */
}

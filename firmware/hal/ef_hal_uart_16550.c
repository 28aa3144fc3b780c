/* NS16550A UART with its 16-byte FIFOs; registers one byte apart.
 * Registers: National Semiconductor PC16550D data sheet, chapter 8. */
#include "ef_hal_uart.h"

#define DATA EF_REG8(EF_UART_BASE + 0u)
#define INT_ENABLE EF_REG8(EF_UART_BASE + 1u)
#define FIFO_CONTROL EF_REG8(EF_UART_BASE + 2u)
#define LINE_CONTROL EF_REG8(EF_UART_BASE + 3u)
#define LINE_STATUS EF_REG8(EF_UART_BASE + 5u)
/* the baud rate divisor, where LINE_DIVISOR is set */
#define DIVISOR_LOW EF_REG8(EF_UART_BASE + 0u)
#define DIVISOR_HIGH EF_REG8(EF_UART_BASE + 1u)

#define INT_RX 1u
#define FIFO_ENABLE 1u
#define FIFO_RESET 6u
#define FIFO_TRIGGER_14 0xC0u
#define LINE_8N1 3u
#define LINE_DIVISOR 0x80u
#define STATUS_RX_READY 1u
#define STATUS_TX_EMPTY 0x20u

void ef_uart_init(void) {
    const uint32_t rate = 16u * EF_UART_BAUD;
    const uint32_t divisor = (EF_UART_CLOCK_HZ + rate / 2u) / rate;
    LINE_CONTROL = LINE_8N1 | LINE_DIVISOR;
    DIVISOR_LOW = (uint8_t)divisor;
    DIVISOR_HIGH = (uint8_t)(divisor >> 8);
    LINE_CONTROL = LINE_8N1;
    /* Ask for the interrupt at 14 bytes, or when input pauses for four characters: the emulator
     * then hands over 14 bytes at once, ten times as fast as one at a time. */
    FIFO_CONTROL = FIFO_ENABLE | FIFO_RESET | FIFO_TRIGGER_14;
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

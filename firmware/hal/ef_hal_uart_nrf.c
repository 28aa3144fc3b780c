/* UART of Nordic's nRF51 and nRF52 (the one without DMA), 6 bytes of FIFO.
 * Registers: nRF51 Series Reference Manual 3.0, chapter 29. */
#include "ef_hal_uart.h"

#ifndef EF_UART_TX
#error "the board file has no uart.tx and uart.rx"
#endif

#define TASK_STARTRX EF_REG32(EF_UART_BASE + 0x000u)
#define TASK_STARTTX EF_REG32(EF_UART_BASE + 0x008u)
#define EVENT_RXDRDY EF_REG32(EF_UART_BASE + 0x108u)
#define EVENT_TXDRDY EF_REG32(EF_UART_BASE + 0x11Cu)
#define INTENSET EF_REG32(EF_UART_BASE + 0x304u)
#define ENABLE EF_REG32(EF_UART_BASE + 0x500u)
#define PSELTXD EF_REG32(EF_UART_BASE + 0x50Cu)
#define PSELRXD EF_REG32(EF_UART_BASE + 0x514u)
#define RXD EF_REG32(EF_UART_BASE + 0x518u)
#define TXD EF_REG32(EF_UART_BASE + 0x51Cu)
#define BAUDRATE EF_REG32(EF_UART_BASE + 0x524u)

#define INT_RXDRDY (1u << 2)
#define ENABLE_UART 4u

void ef_uart_init(void) {
    /* the rate register holds 2^32 * baud / 16 MHz, of which the upper 20 bits count */
    BAUDRATE = (uint32_t)(((((uint64_t)EF_UART_BAUD << 32) / 16000000u) + 0x800u) & 0xFFFFF000u);
    PSELTXD = EF_UART_TX;
    PSELRXD = EF_UART_RX;
    ENABLE = ENABLE_UART;
    INTENSET = INT_RXDRDY;
    TASK_STARTRX = 1;
    TASK_STARTTX = 1;
}

int ef_uart_readable(void) {
    return EVENT_RXDRDY != 0u;
}

uint8_t ef_uart_read(void) {
    EVENT_RXDRDY = 0; /* before RXD: reading RXD raises it again when the FIFO has more */
    return (uint8_t)RXD;
}

void ef_uart_write(uint8_t byte) {
    EVENT_TXDRDY = 0;
    TXD = byte;
    while (!EVENT_TXDRDY) {
    }
}

void ef_uart_clear(void) {
    /* the event itself is the request; ef_uart_read() clears it */
}

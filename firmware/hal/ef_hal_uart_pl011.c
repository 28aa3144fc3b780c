/* Arm PrimeCell PL011 UART, as in the RP2040, with its FIFO. The SoC has started its clock.
 * Registers: Arm DDI 0183G, chapter 3; RP2040 data sheet, 4.2.8. */
#include "ef_hal_uart.h"

#define UARTDR EF_REG32(EF_UART_BASE + 0x00u)
#define UARTFR EF_REG32(EF_UART_BASE + 0x18u)
#define UARTIBRD EF_REG32(EF_UART_BASE + 0x24u)
#define UARTFBRD EF_REG32(EF_UART_BASE + 0x28u)
#define UARTLCR_H EF_REG32(EF_UART_BASE + 0x2Cu)
#define UARTCR EF_REG32(EF_UART_BASE + 0x30u)
#define UARTIFLS EF_REG32(EF_UART_BASE + 0x34u)
#define UARTIMSC EF_REG32(EF_UART_BASE + 0x38u)
#define UARTICR EF_REG32(EF_UART_BASE + 0x44u)

#define FR_RXFE (1u << 4)
#define FR_TXFF (1u << 5)
#define LCR_H_FEN (1u << 4)
#define LCR_H_8_BITS (3u << 5)
#define CR_UARTEN 1u
#define CR_TXE (1u << 8)
#define CR_RXE (1u << 9)
#define IFLS_RX_HALF (2u << 3)
#define INT_RX (1u << 4)
#define INT_RX_TIMEOUT (1u << 6)
#define INT_OVERRUN (1u << 10)

void ef_uart_init(void) {
    /* the divider has 64 steps for each of the 16 samples of a bit */
    const uint32_t divider =
        (uint32_t)((4u * (uint64_t)EF_UART_CLOCK_HZ + EF_UART_BAUD / 2u) / EF_UART_BAUD);
    UARTCR = 0;
    UARTIBRD = divider / 64u;
    UARTFBRD = divider % 64u;
    UARTLCR_H = LCR_H_8_BITS | LCR_H_FEN; /* takes the divider over, too */
    UARTIFLS = IFLS_RX_HALF;
    UARTIMSC = INT_RX | INT_RX_TIMEOUT;
    UARTCR = CR_UARTEN | CR_TXE | CR_RXE;
}

int ef_uart_readable(void) {
    return (UARTFR & FR_RXFE) == 0u;
}

uint8_t ef_uart_read(void) {
    return (uint8_t)UARTDR;
}

void ef_uart_write(uint8_t byte) {
    while ((UARTFR & FR_TXFF) != 0u) {
    }
    UARTDR = byte;
}

void ef_uart_clear(void) {
    UARTICR = INT_RX | INT_RX_TIMEOUT | INT_OVERRUN;
}

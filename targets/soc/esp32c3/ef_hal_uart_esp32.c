/* UART of the ESP32-C3 and its relatives, with its FIFOs of 128 bytes, clocked by the crystal. The
 * ROM has connected UART0 to its pins.
 * Registers: ESP32-C3 Technical Reference Manual 1.0, chapter UART Controller. */
#include "ef_hal_uart.h"

#define FIFO EF_REG32(EF_UART_BASE + 0x00u)
#define CLKDIV EF_REG32(EF_UART_BASE + 0x14u)
#define STATUS EF_REG32(EF_UART_BASE + 0x1Cu)
#define CLK_CONF EF_REG32(EF_UART_BASE + 0x78u)
#define ID EF_REG32(EF_UART_BASE + 0x80u)

#define STATUS_RXFIFO_CNT 0x3FFu
#define STATUS_TXFIFO_CNT(status) ((status) >> 16 & 0x3FFu)
#define TXFIFO_FULL 126u
#define CLK_CONF_SCLK_XTAL (3u << 20)
#define CLK_CONF_SCLK_EN (1u << 22)
#define CLK_CONF_TX_RX_SCLK_EN (3u << 24)
#define ID_REG_UPDATE (1u << 31)

void ef_uart_init(void) {
    const uint32_t sixteenths = (16u * EF_UART_CLOCK_HZ + EF_UART_BAUD / 2u) / EF_UART_BAUD;
    CLK_CONF = CLK_CONF_TX_RX_SCLK_EN | CLK_CONF_SCLK_EN | CLK_CONF_SCLK_XTAL;
    CLKDIV = sixteenths / 16u | (sixteenths % 16u) << 20;
    ID |= ID_REG_UPDATE; /* into the clock domain of the UART */
    while ((ID & ID_REG_UPDATE) != 0u) {
    }
}

int ef_uart_readable(void) {
    return (STATUS & STATUS_RXFIFO_CNT) != 0u;
}

uint8_t ef_uart_read(void) {
    return (uint8_t)FIFO;
}

void ef_uart_write(uint8_t byte) {
    while (STATUS_TXFIFO_CNT(STATUS) >= TXFIFO_FULL) {
    }
    FIFO = byte;
}

void ef_uart_clear(void) {
    /* input is polled */
}

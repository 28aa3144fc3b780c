/* USART of ST's older families, such as STM32F4: no FIFO. The SoC has started its clock.
 * Registers: RM0368 19.6, RM0390 25.6. */
#include "ef_hal_uart.h"

#define SR EF_REG32(EF_UART_BASE + 0x00u)
#define DR EF_REG32(EF_UART_BASE + 0x04u)
#define BRR EF_REG32(EF_UART_BASE + 0x08u)
#define CR1 EF_REG32(EF_UART_BASE + 0x0Cu)

#define SR_ORE (1u << 3)
#define SR_RXNE (1u << 5)
#define SR_TXE (1u << 7)
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define CR1_RXNEIE (1u << 5)
#define CR1_UE (1u << 13)

void ef_uart_init(void) {
    CR1 = 0;
    /* 16 samples a bit: the divider and its 16 fractions are the cycles of a bit */
    BRR = (EF_UART_CLOCK_HZ + EF_UART_BAUD / 2u) / EF_UART_BAUD;
    CR1 = CR1_UE | CR1_TE | CR1_RE | CR1_RXNEIE;
}

int ef_uart_readable(void) {
    return (SR & SR_RXNE) != 0u;
}

uint8_t ef_uart_read(void) {
    return (uint8_t)DR;
}

void ef_uart_write(uint8_t byte) {
    while ((SR & SR_TXE) == 0u) {
    }
    DR = byte;
}

void ef_uart_clear(void) {
    /* RXNE is withdrawn by reading it; an overrun that came just after that by SR, then DR */
    if ((SR & (SR_RXNE | SR_ORE)) == SR_ORE) {
        (void)DR;
    }
}

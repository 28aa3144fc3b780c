/* USART of ST's newer families, such as STM32L4, H7 and U5, with its FIFO. The SoC has started its
 * clock. Registers: RM0432 47.8, RM0433 48.7, RM0456 66.8; FIFO: L4+, H7 and U5. */
#include "ef_hal_uart.h"

#define CR1 EF_REG32(EF_UART_BASE + 0x00u)
#define BRR EF_REG32(EF_UART_BASE + 0x0Cu)
#define ISR EF_REG32(EF_UART_BASE + 0x1Cu)
#define ICR EF_REG32(EF_UART_BASE + 0x20u)
#define RDR EF_REG32(EF_UART_BASE + 0x24u)
#define TDR EF_REG32(EF_UART_BASE + 0x28u)

#define CR1_UE 1u
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define CR1_RXFNEIE (1u << 5)
#define CR1_FIFOEN (1u << 29)
#define ISR_RXFNE (1u << 5)
#define ISR_TXFNF (1u << 7)
#define ICR_ORECF (1u << 3)

#ifndef STEPS_OF_A_CYCLE /* the low-power UART's divider has 256 */
#define STEPS_OF_A_CYCLE 1u
#endif

void ef_uart_init(void) {
    const uint64_t steps = (uint64_t)EF_UART_CLOCK_HZ * STEPS_OF_A_CYCLE;
    CR1 = 0;
    BRR = (uint32_t)((steps + EF_UART_BAUD / 2u) / EF_UART_BAUD);
    CR1 = CR1_FIFOEN; /* before it is enabled */
    CR1 = CR1_FIFOEN | CR1_UE;
    CR1 = CR1_FIFOEN | CR1_UE | CR1_TE | CR1_RE | CR1_RXFNEIE;
}

int ef_uart_readable(void) {
    return (ISR & ISR_RXFNE) != 0u;
}

uint8_t ef_uart_read(void) {
    return (uint8_t)RDR;
}

void ef_uart_write(uint8_t byte) {
    while ((ISR & ISR_TXFNF) == 0u) {
    }
    TDR = byte;
}

void ef_uart_clear(void) {
    ICR = ICR_ORECF; /* an overrun would ask for ever; reading the FIFO empty withdraws the rest */
}

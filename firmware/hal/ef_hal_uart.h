/* Interface of a UART driver: one file per driver, chosen by `uart.driver` of the board file.
 * The build defines EF_UART_BASE, EF_UART_IRQ, EF_UART_BAUD and EF_UART_CLOCK_HZ; and, where the
 * board file has them, the pins EF_UART_TX and EF_UART_RX (port times pins of a port, plus pin) and
 * their alternate function EF_UART_AF. */
#ifndef EF_HAL_UART_H
#define EF_HAL_UART_H

#include <stdint.h>

#define EF_REG32(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define EF_REG8(address) (*(volatile uint8_t *)(uintptr_t)(address))

/* Enables the receive interrupt in the UART, which wakes the core from WFI. */
void ef_uart_init(void);

/* Nonzero when ef_uart_read() has a byte. */
int ef_uart_readable(void);
uint8_t ef_uart_read(void);

/* Waits until the UART takes a byte. */
void ef_uart_write(uint8_t byte);

/* Withdraw the receive interrupt. The caller checks ef_uart_readable() afterwards. */
void ef_uart_clear(void);

#endif

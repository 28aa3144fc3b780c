/* USART 0 of AVR microcontrollers, 2 bytes of FIFO.
 * Registers: Microchip DS40002061A (ATmega328P), chapter 20. */
#include "ef_hal_uart.h"

#include <avr/interrupt.h>
#include <avr/io.h>

#define STATUS EF_REG8(EF_UART_BASE + 0u)
#define CONTROL EF_REG8(EF_UART_BASE + 1u)
#define RATE_LOW EF_REG8(EF_UART_BASE + 4u)
#define RATE_HIGH EF_REG8(EF_UART_BASE + 5u)
#define DATA EF_REG8(EF_UART_BASE + 6u)

#define STATUS_RX_READY 0x80u
#define STATUS_TX_EMPTY 0x20u
#define STATUS_DOUBLE_SPEED 2u
#define CONTROL_RX_INTERRUPT 0x80u
#define CONTROL_ENABLE 0x18u /* receiver and transmitter; the frame is 8N1 from reset on */

#ifdef USART0_RX_vect
#define RX_VECTOR USART0_RX_vect
#define RX_NUMBER USART0_RX_vect_num
#else
#define RX_VECTOR USART_RX_vect
#define RX_NUMBER USART_RX_vect_num
#endif
typedef char irq_is_of_usart_0[EF_UART_IRQ == RX_NUMBER ? 1 : -1];

/* Only wakes the core: it withdraws itself, as the byte stays to be read. */
ISR(RX_VECTOR) {
    CONTROL = CONTROL_ENABLE;
}

void ef_uart_init(void) {
    const uint32_t rate = 8u * (uint32_t)EF_UART_BAUD;
    const uint16_t divisor = (uint16_t)((EF_UART_CLOCK_HZ + rate / 2u) / rate - 1u);
    RATE_HIGH = (uint8_t)(divisor >> 8);
    RATE_LOW = (uint8_t)(divisor & 0xFFu);
    STATUS = STATUS_DOUBLE_SPEED;
    CONTROL = CONTROL_ENABLE;
}

int ef_uart_readable(void) {
    return (STATUS & STATUS_RX_READY) != 0u;
}

uint8_t ef_uart_read(void) {
    return DATA;
}

void ef_uart_write(uint8_t byte) {
    while (!(STATUS & STATUS_TX_EMPTY)) {
    }
    DATA = byte;
}

void ef_uart_clear(void) {
    CONTROL = CONTROL_ENABLE | CONTROL_RX_INTERRUPT;
}

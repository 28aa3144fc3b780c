/* What ST's STM32 families have in common: their GPIO ports, 0x400 bytes apart.
 * Registers: RM0368 chapter 8, RM0432 chapter 8, RM0433 chapter 11, RM0456 chapter 13. */
#ifndef EF_HAL_STM32_H
#define EF_HAL_STM32_H

#include "ef_hal_uart.h"

#if !defined(EF_UART_TX) || !defined(EF_UART_AF)
#error "the board file has no uart.tx, uart.rx and uart.af"
#endif

#define GPIO_MODE_ALTERNATE 2u
#define GPIO_PULL_UP 1u

/* Bits of the ports of the pins in use, in the register that enables their clocks. */
#define EF_STM32_PORT(pin) (1u << ((pin) / 16u))
#ifdef EF_GPIO_PIN
#define EF_STM32_PULSE_PORT EF_STM32_PORT(EF_GPIO_PIN)
#else
#define EF_STM32_PULSE_PORT 0u
#endif
#ifdef EF_GPIO_MARKER
#define EF_STM32_MARKER_PORT EF_STM32_PORT(EF_GPIO_MARKER)
#else
#define EF_STM32_MARKER_PORT 0u
#endif
#ifdef EF_GPIO_LAYERS
#define EF_STM32_LAYERS_PORT EF_STM32_PORT(EF_GPIO_LAYERS)
#else
#define EF_STM32_LAYERS_PORT 0u
#endif
#define EF_STM32_PORTS                                                                             \
    (EF_STM32_PORT(EF_UART_TX) | EF_STM32_PORT(EF_UART_RX) | EF_STM32_PULSE_PORT |                 \
     EF_STM32_MARKER_PORT | EF_STM32_LAYERS_PORT)

static inline void ef_stm32_set(uint32_t address, uint32_t mask, uint32_t shift, uint32_t value) {
    EF_REG32(address) = (EF_REG32(address) & ~(mask << shift)) | value << shift;
}

/* Give a pin to the UART; `gpioa` is the base of the first port. */
static inline void ef_stm32_uart_pin(uint32_t gpioa, uint32_t number) {
    const uint32_t port = gpioa + 0x400u * (number / 16u);
    const uint32_t pin = number % 16u;
    const uint32_t afr = port + 0x20u + 4u * (pin / 8u);
    ef_stm32_set(afr, 15u, 4u * (pin % 8u), EF_UART_AF);
    ef_stm32_set(port + 0x0Cu, 3u, 2u * pin, GPIO_PULL_UP);        /* PUPDR */
    ef_stm32_set(port + 0x00u, 3u, 2u * pin, GPIO_MODE_ALTERNATE); /* MODER */
}

static inline void ef_stm32_uart_pins(uint32_t gpioa) {
    ef_stm32_uart_pin(gpioa, EF_UART_TX);
    ef_stm32_uart_pin(gpioa, EF_UART_RX);
}

#endif

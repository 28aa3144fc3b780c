/* What drivers of pins that mark the time share: one file per driver, chosen by `gpio.driver` of
 * the board file. The build defines EF_GPIO_BASE, EF_CLOCK_HZ and, of those pins that the file has,
 * EF_GPIO_PIN (port times pins of a port, plus pin), EF_GPIO_MARKER and EF_GPIO_LAYERS. */
#ifndef EF_HAL_GPIO_H
#define EF_HAL_GPIO_H

#include "ef_hal_uart.h" /* EF_REG32 */

/* Waits 1 us or longer: a turn takes more than a cycle. */
static inline void ef_gpio_wait(void) {
    for (volatile uint32_t left = EF_CLOCK_HZ / 1000000u + 1u; left > 0; left--) {
    }
}

#endif

/* What drivers of the pin that marks the time share: one file per driver, chosen by `gpio.driver`
 * of the board file. The build defines EF_GPIO_BASE, EF_GPIO_PIN (port times pins of a port, plus
 * pin) and EF_CLOCK_HZ. */
#ifndef EF_HAL_GPIO_H
#define EF_HAL_GPIO_H

#include "ef_hal_uart.h" /* EF_REG32 */

/* Waits 1 us or longer: a turn takes more than a cycle. */
static inline void ef_gpio_wait(void) {
    for (volatile uint32_t left = EF_CLOCK_HZ / 1000000u + 1u; left > 0; left--) {
    }
}

#endif

/* A pin of Nordic's nRF51 and nRF52, which marks the time.
 * Registers: nRF51 Series Reference Manual 3.0, chapter 14. */
#include "ef_hal.h"
#include "ef_hal_gpio.h"

#define OUTSET EF_REG32(EF_GPIO_BASE + 0x508u)
#define OUTCLR EF_REG32(EF_GPIO_BASE + 0x50Cu)
#define DIRSET EF_REG32(EF_GPIO_BASE + 0x518u)

void ef_hal_pulse_init(void) {
    OUTSET = EF_GPIO_BIT;
    DIRSET = EF_GPIO_BIT;
}

void ef_hal_pulse(void) {
    OUTCLR = EF_GPIO_BIT;
    ef_gpio_wait();
    OUTSET = EF_GPIO_BIT;
}

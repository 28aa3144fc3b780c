/* A pin of Nordic's nRF51 and nRF52, which marks the time.
 * Registers: nRF51 Series Reference Manual 3.0, chapter 14. */
#include "ef_hal.h"
#include "ef_hal_gpio.h"

#define PORT (EF_GPIO_BASE + 0x300u * (EF_GPIO_PIN / 32u))
#define OUTSET EF_REG32(PORT + 0x508u)
#define OUTCLR EF_REG32(PORT + 0x50Cu)
#define DIRSET EF_REG32(PORT + 0x518u)
#define BIT (1u << (EF_GPIO_PIN % 32u))

void ef_hal_pulse_init(void) {
    OUTSET = BIT;
    DIRSET = BIT;
}

void ef_hal_pulse(void) {
    OUTCLR = BIT;
    ef_gpio_wait();
    OUTSET = BIT;
}

/* Pins of Nordic's nRF51 and nRF52, which mark the time.
 * Registers: nRF51 Series Reference Manual 3.0, chapter 14. */
#include "ef_hal.h"
#include "ef_hal_gpio.h"

#define PORT(pin) (EF_GPIO_BASE + 0x300u * ((pin) / 32u))
#define OUT(pin) EF_REG32(PORT(pin) + 0x504u)
#define OUTSET(pin) EF_REG32(PORT(pin) + 0x508u)
#define OUTCLR(pin) EF_REG32(PORT(pin) + 0x50Cu)
#define DIRSET(pin) EF_REG32(PORT(pin) + 0x518u)
#define BIT(pin) (1u << ((pin) % 32u))

#ifdef EF_GPIO_PIN
void ef_hal_pulse_init(void) {
    OUTSET(EF_GPIO_PIN) = BIT(EF_GPIO_PIN);
    DIRSET(EF_GPIO_PIN) = BIT(EF_GPIO_PIN);
}

void ef_hal_pulse(void) {
    OUTCLR(EF_GPIO_PIN) = BIT(EF_GPIO_PIN);
    ef_gpio_wait();
    OUTSET(EF_GPIO_PIN) = BIT(EF_GPIO_PIN);
}
#endif

#ifdef EF_GPIO_MARKER
void ef_hal_marker_init(void) {
    OUTCLR(EF_GPIO_MARKER) = BIT(EF_GPIO_MARKER);
    DIRSET(EF_GPIO_MARKER) = BIT(EF_GPIO_MARKER);
#ifdef EF_GPIO_LAYERS
    OUTCLR(EF_GPIO_LAYERS) = BIT(EF_GPIO_LAYERS);
    DIRSET(EF_GPIO_LAYERS) = BIT(EF_GPIO_LAYERS);
#endif
}

void ef_hal_marker(int high) {
    if (high != 0) {
        OUTSET(EF_GPIO_MARKER) = BIT(EF_GPIO_MARKER);
    } else {
        OUTCLR(EF_GPIO_MARKER) = BIT(EF_GPIO_MARKER);
    }
}
#endif

#ifdef EF_GPIO_LAYERS
void ef_hal_layer_mark(void) {
    OUT(EF_GPIO_LAYERS) ^= BIT(EF_GPIO_LAYERS);
}
#endif

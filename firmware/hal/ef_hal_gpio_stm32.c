/* Pins of ST's STM32 families, which mark the time; the SoC has started the clocks of their ports.
 * Registers: RM0368 chapter 8, RM0432 chapter 8, RM0433 chapter 11, RM0456 chapter 13. */
#include "ef_hal.h"
#include "ef_hal_gpio.h"

#define PORT(pin) (EF_GPIO_BASE + 0x400u * ((pin) / 16u))
#define MODER(pin) EF_REG32(PORT(pin))
#define ODR(pin) EF_REG32(PORT(pin) + 0x14u)
#define BSRR(pin) EF_REG32(PORT(pin) + 0x18u)
#define BIT(pin) (1u << ((pin) % 16u))
#define SET(pin) BIT(pin)
#define RESET(pin) (BIT(pin) << 16)
#define MODE(pin, mode) ((mode) << (2u * ((pin) % 16u)))
#define OUTPUT 1u

#ifdef EF_GPIO_PIN
void ef_hal_pulse_init(void) {
    BSRR(EF_GPIO_PIN) = SET(EF_GPIO_PIN);
    MODER(EF_GPIO_PIN) = (MODER(EF_GPIO_PIN) & ~MODE(EF_GPIO_PIN, 3u)) | MODE(EF_GPIO_PIN, OUTPUT);
}

void ef_hal_pulse(void) {
    BSRR(EF_GPIO_PIN) = RESET(EF_GPIO_PIN);
    ef_gpio_wait();
    BSRR(EF_GPIO_PIN) = SET(EF_GPIO_PIN);
}
#endif

#ifdef EF_GPIO_MARKER
static void rest_low(uint32_t pin) {
    BSRR(pin) = RESET(pin);
    MODER(pin) = (MODER(pin) & ~MODE(pin, 3u)) | MODE(pin, OUTPUT);
}

void ef_hal_marker_init(void) {
    rest_low(EF_GPIO_MARKER);
#ifdef EF_GPIO_LAYERS
    rest_low(EF_GPIO_LAYERS);
#endif
}

void ef_hal_marker(int high) {
    BSRR(EF_GPIO_MARKER) = high != 0 ? SET(EF_GPIO_MARKER) : RESET(EF_GPIO_MARKER);
}
#endif

#ifdef EF_GPIO_LAYERS
void ef_hal_layer_mark(void) {
    ODR(EF_GPIO_LAYERS) ^= BIT(EF_GPIO_LAYERS);
}
#endif

/* ESP32-C3: start of the HAL, waiting for serial input. */
#include "ef_hal.h"
#include "ef_hal_bare.h"
#include "ef_hal_uart.h"

void ef_hal_init(void) {
    ef_soc_init();
    ef_cycles_init();
    ef_uart_init();
}

int ef_hal_getc(void) {
    while (!ef_uart_readable()) {
        ef_uart_clear();
    }
    return ef_uart_read();
}

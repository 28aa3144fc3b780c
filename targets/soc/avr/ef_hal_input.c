/* AVR boards: start of the HAL, waiting for serial input. */
#include "ef_hal.h"
#include "ef_hal_bare.h"
#include "ef_hal_uart.h"

#include <avr/interrupt.h>
#include <avr/io.h>

void ef_hal_init(void) {
    ef_soc_init();
    ef_uart_init();
    SMCR = 1 << SE; /* idle: the timer runs on */
    ef_cycles_init();
}

/* The core sleeps until a byte comes; the handler only wakes it. */
int ef_hal_getc(void) {
    cli();
    while (!ef_uart_readable()) {
        ef_uart_clear();
        __asm volatile("sei\n\tsleep\n\tcli" ::
                           : "memory"); /* nothing comes between the first two */
    }
    sei();
    return ef_uart_read();
}

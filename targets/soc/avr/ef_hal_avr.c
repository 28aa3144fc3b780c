/* AVR boards: waiting for serial input, cycle counter. */
#include "ef_hal.h"
#include "ef_hal_uart.h"

#include <avr/interrupt.h>
#include <avr/io.h>

/* Timer 1 counts cycles, its overflows the rest: in steps of less than 2^16, as the interrupt's own
 * cycles are not the program's. */
static volatile uint32_t past;
static uint32_t period = (uint32_t)1 << 16;

ISR(TIMER1_OVF_vect) {
    past += period;
}

/* Cycles of a short wait from a state of the timer on. */
static uint16_t waited(uint16_t start) {
    uint8_t left = 16;
    TCNT1 = start;
    __asm volatile("1: dec %0\n\tbrne 1b" : "+r"(left));
    return (uint16_t)(TCNT1 - start);
}

void ef_hal_init(void) {
    ef_uart_init();
    TCCR1B = 1 << CS10; /* without prescaler */
    TIMSK1 = 1 << TOIE1;
    SMCR = 1 << SE; /* idle: the timer runs on */
    sei();
    /* the interrupt takes as long each time */
    period -= (uint16_t)(waited(0xFFF0u) - waited(0));
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

uint32_t ef_hal_cycles(void) {
    cli();
    const uint16_t now = TCNT1;
    uint32_t cycles = past + now;
    if ((TIFR1 & 1 << TOV1) != 0 && now < 0x8000u) {
        cycles += (uint32_t)1 << 16; /* an overflow whose interrupt is still to come */
    }
    sei();
    return cycles;
}

uint32_t ef_hal_cycles_hz(void) {
    return EF_CLOCK_HZ;
}

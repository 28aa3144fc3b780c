/* Cycle counter of AVR boards: timer 1, and its overflows.
 * Registers: Microchip DS40002061A (ATmega328P), chapter 16. */
#include "ef_hal.h"
#include "ef_hal_bare.h"

#include <avr/interrupt.h>
#include <avr/io.h>

/* Cycles up to the last overflow: in steps of less than 2^16, as the interrupt's own are not the
 * program's. */
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

void ef_cycles_init(void) {
    TCCR1B = 1 << CS10; /* without prescaler */
    TIMSK1 = 1 << TOIE1;
    sei();
    /* the interrupt takes as long each time */
    period -= (uint16_t)(waited(0xFFF0u) - waited(0));
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

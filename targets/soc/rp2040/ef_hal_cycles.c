/* Cycle counter of the RP2040, whose cores have no DWT: SysTick counts the cycles, in 24 bits; the
 * microsecond timer says how often it went round. Both come from the crystal, 125 cycles a
 * microsecond, so that the timer is never more than a few microseconds of cycles beside the count,
 * while a round is 134 ms.
 * Registers: RP2040 data sheet, 2.4.8 (SYST) and 4.6.5 (TIMER). */
#include "ef_hal.h"
#include "ef_hal_bare.h"
#include "ef_hal_uart.h"

#define SYST_CSR EF_REG32(0xE000E010u)
#define SYST_RVR EF_REG32(0xE000E014u)
#define SYST_CVR EF_REG32(0xE000E018u)
#define CSR_OF_CORE_CLOCK 5u /* enabled, without its interrupt */
#define COUNT_BITS 24u
#define COUNT_MASK 0xFFFFFFu

#define TIMERAWL EF_REG32(0x40054028u)

#define CYCLES_A_US (EF_CLOCK_HZ / 1000000u)

static uint32_t offset; /* of the timer's cycles from SysTick's */

static uint32_t count(void) {
    return ~SYST_CVR & COUNT_MASK; /* it counts down */
}

void ef_cycles_init(void) {
    SYST_RVR = COUNT_MASK;
    SYST_CVR = 0;
    SYST_CSR = CSR_OF_CORE_CLOCK;
    offset = TIMERAWL * CYCLES_A_US - count();
}

uint32_t ef_hal_cycles(void) {
    const uint32_t about = TIMERAWL * CYCLES_A_US - offset;
    /* the value nearest to it that ends in the bits of the count */
    const uint32_t beside = (count() - about) << (32u - COUNT_BITS);
    return about + (uint32_t)((int32_t)beside >> (32u - COUNT_BITS));
}

uint32_t ef_hal_cycles_hz(void) {
    return EF_CLOCK_HZ;
}

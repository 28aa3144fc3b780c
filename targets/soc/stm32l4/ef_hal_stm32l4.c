/* ST STM32L4+: clock of 120 MHz, clocks and pins of the low-power UART.
 * Registers: RM0432 chapters FLASH, PWR, RCC.
 *
 * The core's clock is made of the 16 MHz RC oscillator (1 %), which needs nothing of the board. */
#include "ef_hal_bare.h"
#include "ef_hal_stm32.h"

#define FLASH_ACR EF_REG32(0x40022000u)
#define ACR_PRFTEN (1u << 8)
#define ACR_ICEN (1u << 9)
#define ACR_DCEN (1u << 10)

#define PWR_CR2 EF_REG32(0x40007004u)
#define PWR_CR5 EF_REG32(0x40007080u)
#define CR2_IOSV (1u << 9)
#define CR5_R1MODE (1u << 8)

#define RCC_CR EF_REG32(0x40021000u)
#define RCC_CFGR EF_REG32(0x40021008u)
#define RCC_PLLCFGR EF_REG32(0x4002100Cu)
#define RCC_AHB2ENR EF_REG32(0x4002104Cu)
#define RCC_APB1ENR1 EF_REG32(0x40021058u)
#define RCC_APB1ENR2 EF_REG32(0x4002105Cu)
#define CR_HSION (1u << 8)
#define CR_HSIRDY (1u << 10)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define PLLCFGR_PLLSRC_HSI16 2u
#define PLLCFGR_PLLREN (1u << 24)
#define CFGR_SW_PLL 3u
#define CFGR_SWS(source) ((source) << 2)
#define CFGR_HPRE_2 (8u << 4)
#define APB1ENR1_PWREN (1u << 28)
#define APB1ENR2_LPUART1EN 1u

#if EF_CLOCK_HZ != 120000000u || EF_UART_BASE != 0x40008000u
#error "known are clock_hz = 120_000_000 and uart.base = 0x4000_8000 (LPUART1)"
#endif

/* 16 MHz / M 2, times N 30, over R 2 (the field is 0) */
#define PLL_M 2u
#define PLL_N 30u
#define WAIT_STATES 5u /* at 100 to 120 MHz in range 1 boost mode */

static void start_clock(void) {
    PWR_CR5 &= ~CR5_R1MODE; /* boost: above 80 MHz */
    RCC_CR |= CR_HSION;
    while ((RCC_CR & CR_HSIRDY) == 0u) {
    }
    RCC_PLLCFGR = PLLCFGR_PLLSRC_HSI16 | (PLL_M - 1u) << 4 | PLL_N << 8 | PLLCFGR_PLLREN;
    RCC_CR |= CR_PLLON;
    while ((RCC_CR & CR_PLLRDY) == 0u) {
    }
    FLASH_ACR = ACR_DCEN | ACR_ICEN | ACR_PRFTEN | WAIT_STATES;
    while ((FLASH_ACR & 15u) != WAIT_STATES) {
    }
    /* to more than 80 MHz by way of a half of it, for a microsecond at least */
    RCC_CFGR = CFGR_HPRE_2;
    RCC_CFGR |= CFGR_SW_PLL;
    while ((RCC_CFGR & CFGR_SWS(3u)) != CFGR_SWS(CFGR_SW_PLL)) {
    }
    for (volatile uint32_t wait = 0; wait < 60u; wait++) {
    }
    RCC_CFGR &= ~CFGR_HPRE_2;
}

void ef_soc_init(void) {
    RCC_APB1ENR1 |= APB1ENR1_PWREN;
    (void)RCC_APB1ENR1; /* a clock takes two cycles to arrive */
    start_clock();
    PWR_CR2 |= CR2_IOSV; /* PG2..15 have a supply of their own: it is there */
    RCC_AHB2ENR |= EF_STM32_PORTS;
    RCC_APB1ENR2 |= APB1ENR2_LPUART1EN;
    (void)RCC_APB1ENR2;
    ef_stm32_uart_pins(0x48000000u);
}

/* ST STM32F4: clock of up to 180 MHz, clocks and pins of the UART.
 * Registers: RM0368 (F401), RM0090 (F405) and RM0390 (F446), chapters FLASH, PWR, RCC.
 *
 * The core's clock is made of the 16 MHz RC oscillator (1 %), which needs nothing of the board; VDD
 * is 2.7 V or more. The regulator's output (PWR_CR.VOS) is at its highest after reset. */
#include "ef_hal_bare.h"
#include "ef_hal_stm32.h"

#define FLASH_ACR EF_REG32(0x40023C00u)
#define ACR_PRFTEN (1u << 8)
#define ACR_ICEN (1u << 9)
#define ACR_DCEN (1u << 10)

#define PWR_CR EF_REG32(0x40007000u)
#define PWR_CSR EF_REG32(0x40007004u)
#define CR_ODEN (1u << 16)
#define CR_ODSWEN (1u << 17)

#define RCC_CR EF_REG32(0x40023800u)
#define RCC_PLLCFGR EF_REG32(0x40023804u)
#define RCC_CFGR EF_REG32(0x40023808u)
#define RCC_AHB1ENR EF_REG32(0x40023830u)
#define RCC_APB1ENR EF_REG32(0x40023840u)
#define RCC_APB2ENR EF_REG32(0x40023844u)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define CFGR_SW_PLL 2u
#define CFGR_SWS(source) ((source) << 2)
#define CFGR_PPRE1(divider) ((divider) << 10)
#define CFGR_PPRE2(divider) ((divider) << 13)
#define PPRE_1 0u
#define PPRE_2 4u
#define PPRE_4 5u
#define APB1ENR_PWREN (1u << 28)

#define MHZ 1000000u
/* 16 MHz / M, times N: 192 MHz or more; over P */
#define PLL_M 8u
#define PLL_P (EF_CLOCK_HZ > 108u * MHZ ? 2u : 4u)
#define PLL_N (EF_CLOCK_HZ / MHZ * PLL_P / (16u / PLL_M))
#define PLL_OTHER_OUTPUTS (8u << 24 | 2u << 28) /* Q and R: not used, in their ranges */
#define WAIT_STATES ((EF_CLOCK_HZ - 1u) / (30u * MHZ))
#define NEEDS_OVERDRIVE (EF_CLOCK_HZ > 168u * MHZ)
/* APB1 takes a half of the fastest clock of most parts, a quarter of that of the fastest parts */
#define APB1_DIVIDER (EF_CLOCK_HZ > 84u * MHZ ? PPRE_4 : PPRE_2)
#define APB2_DIVIDER (EF_CLOCK_HZ > 84u * MHZ ? PPRE_2 : PPRE_1)

#ifndef EF_EMULATED /* QEMU has none of these registers, and no clock */
static void start_clock(void) {
    RCC_PLLCFGR = PLL_M | PLL_N << 6 | (PLL_P / 2u - 1u) << 16 | PLL_OTHER_OUTPUTS;
    RCC_CR |= CR_PLLON;
    if (NEEDS_OVERDRIVE) {
        RCC_APB1ENR |= APB1ENR_PWREN;
        PWR_CR |= CR_ODEN;
        while ((PWR_CSR & CR_ODEN) == 0u) { /* ODRDY, at the same bit */
        }
        PWR_CR |= CR_ODSWEN;
        while ((PWR_CSR & CR_ODSWEN) == 0u) { /* ODSWRDY */
        }
    }
    while ((RCC_CR & CR_PLLRDY) == 0u) {
    }
    FLASH_ACR = ACR_DCEN | ACR_ICEN | ACR_PRFTEN | WAIT_STATES;
    while ((FLASH_ACR & 15u) != WAIT_STATES) {
    }
    RCC_CFGR = CFGR_PPRE1(APB1_DIVIDER) | CFGR_PPRE2(APB2_DIVIDER);
    RCC_CFGR |= CFGR_SW_PLL;
    while ((RCC_CFGR & CFGR_SWS(3u)) != CFGR_SWS(CFGR_SW_PLL)) {
    }
}
#endif

void ef_soc_init(void) {
#ifndef EF_EMULATED
    start_clock();
#endif
    RCC_AHB1ENR |= EF_STM32_PORTS;
#if EF_UART_BASE == 0x40011000u /* USART1 */
    RCC_APB2ENR |= 1u << 4;
#elif EF_UART_BASE == 0x40011400u /* USART6 */
    RCC_APB2ENR |= 1u << 5;
#elif EF_UART_BASE == 0x40004400u /* USART2 */
    RCC_APB1ENR |= 1u << 17;
#else
#error "uart.base: known are USART1, USART2 and USART6"
#endif
    (void)RCC_APB2ENR; /* a clock takes two cycles to arrive */
    ef_stm32_uart_pins(0x40020000u);
}

/* ST STM32U575: clock of 160 MHz, instruction cache, clocks and pins of the UART.
 * Registers: RM0456 chapters FLASH, ICACHE, PWR, RCC; at their non-secure addresses (TZEN = 0, the
 * state of delivery).
 *
 * The core's clock is made of the 16 MHz RC oscillator (1 %), which needs nothing of the board. */
#include "ef_hal_bare.h"
#include "ef_hal_stm32.h"

#define FLASH_ACR EF_REG32(0x40022000u)
#define ACR_PRFTEN (1u << 8)

#define ICACHE_CR EF_REG32(0x40030400u)
#define ICACHE_SR EF_REG32(0x40030404u)
#define ICACHE_CR_EN 1u
#define ICACHE_SR_BUSYF 1u

#define PWR_VOSR EF_REG32(0x4602080Cu)
#define VOSR_RANGE_1 (3u << 16)
#define VOSR_BOOSTEN (1u << 18)
#define VOSR_VOSRDY (1u << 15)
#define VOSR_BOOSTRDY (1u << 14)

#define RCC_CR EF_REG32(0x46020C00u)
#define RCC_CFGR1 EF_REG32(0x46020C1Cu)
#define RCC_CFGR2 EF_REG32(0x46020C20u)
#define RCC_PLL1CFGR EF_REG32(0x46020C28u)
#define RCC_PLL1DIVR EF_REG32(0x46020C34u)
#define RCC_AHB2ENR1 EF_REG32(0x46020C8Cu)
#define RCC_AHB3ENR EF_REG32(0x46020C94u)
#define RCC_APB2ENR EF_REG32(0x46020CA4u)
#define CR_HSION (1u << 8)
#define CR_HSIRDY (1u << 10)
#define CR_PLL1ON (1u << 24)
#define CR_PLL1RDY (1u << 25)
#define PLL1CFGR_PLL1SRC_HSI16 2u
#define PLL1CFGR_PLL1RGE_8_TO_16_MHZ (3u << 2)
#define PLL1CFGR_PLL1REN (1u << 18)
#define PLL1DIVR(n, p, q, r) (((n) - 1u) | ((p) - 1u) << 9 | ((q) - 1u) << 16 | ((r) - 1u) << 24)
#define CFGR1_SW_PLL1 3u
#define CFGR1_SWS(source) ((source) << 2)
#define CFGR2_HPRE_2 8u
#define AHB3ENR_PWREN (1u << 2)
#define APB2ENR_USART1EN (1u << 14)

#if EF_CLOCK_HZ != 160000000u || EF_UART_BASE != 0x40013800u
#error "known are clock_hz = 160_000_000 and uart.base = 0x4001_3800 (USART1)"
#endif

#define WAIT_STATES 4u /* at 128 to 160 MHz in range 1 */

static void start_clock(void) {
    RCC_CR |= CR_HSION;
    while ((RCC_CR & CR_HSIRDY) == 0u) {
    }
    PWR_VOSR = VOSR_RANGE_1;
    while ((PWR_VOSR & VOSR_VOSRDY) == 0u) {
    }
    /* the source of the PLL feeds the booster (4 to 16 MHz, divided by 1), which range 1 needs
     * above 55 MHz: it is chosen first */
    RCC_PLL1CFGR = PLL1CFGR_PLL1SRC_HSI16 | PLL1CFGR_PLL1RGE_8_TO_16_MHZ | PLL1CFGR_PLL1REN;
    RCC_PLL1DIVR = PLL1DIVR(20u, 2u, 2u, 2u); /* 16 MHz / M 1, times N 20, over R 2 */
    PWR_VOSR = VOSR_RANGE_1 | VOSR_BOOSTEN;
    while ((PWR_VOSR & VOSR_BOOSTRDY) == 0u) {
    }
    RCC_CR |= CR_PLL1ON;
    while ((RCC_CR & CR_PLL1RDY) == 0u) {
    }
    FLASH_ACR = ACR_PRFTEN | WAIT_STATES;
    while ((FLASH_ACR & 15u) != WAIT_STATES) {
    }
    /* by way of a half of it, for a microsecond at least */
    RCC_CFGR2 = CFGR2_HPRE_2;
    RCC_CFGR1 = CFGR1_SW_PLL1;
    while ((RCC_CFGR1 & CFGR1_SWS(3u)) != CFGR1_SWS(CFGR1_SW_PLL1)) {
    }
    for (volatile uint32_t wait = 0; wait < 80u; wait++) {
    }
    RCC_CFGR2 = 0;
}

void ef_soc_init(void) {
    RCC_AHB3ENR |= AHB3ENR_PWREN;
    (void)RCC_AHB3ENR; /* a clock takes two cycles to arrive */
    start_clock();
    while ((ICACHE_SR & ICACHE_SR_BUSYF) != 0u) {
    }
    ICACHE_CR |= ICACHE_CR_EN;
    RCC_AHB2ENR1 |= EF_STM32_PORTS;
    RCC_APB2ENR |= APB2ENR_USART1EN;
    (void)RCC_APB2ENR;
    ef_stm32_uart_pins(0x42020000u);
}

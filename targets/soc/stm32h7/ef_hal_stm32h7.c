/* ST STM32H743: clock of 400 MHz, caches, access to the DWT, clocks and pins of the UART.
 * Registers: RM0433 chapters FLASH, PWR, RCC; PM0253 (caches); Arm DDI 0403E C1.8 (DWT).
 *
 * 400 MHz at VOS1 is what all revisions of the silicon can do; 480 MHz takes revision V. The clock
 * is made of the 64 MHz RC oscillator (1 %), which needs nothing of the board. */
#include "ef_hal_bare.h"
#include "ef_hal_stm32.h"

#define FLASH_ACR EF_REG32(0x52002000u)
#define ACR_WRHIGHFREQ(value) ((value) << 4)

#define PWR_CSR1 EF_REG32(0x58024804u)
#define PWR_CR3 EF_REG32(0x5802480Cu)
#define PWR_D3CR EF_REG32(0x58024818u)
#define CSR1_ACTVOSRDY (1u << 13)
#define CR3_BYPASS 1u
#define CR3_LDOEN (1u << 1)
#define CR3_SCUEN (1u << 2)
#define D3CR_VOS1 (3u << 14)
#define D3CR_VOSRDY (1u << 13)

#define RCC_CR EF_REG32(0x58024400u)
#define RCC_CFGR EF_REG32(0x58024410u)
#define RCC_D1CFGR EF_REG32(0x58024418u)
#define RCC_D2CFGR EF_REG32(0x5802441Cu)
#define RCC_D3CFGR EF_REG32(0x58024420u)
#define RCC_PLLCKSELR EF_REG32(0x58024428u)
#define RCC_PLLCFGR EF_REG32(0x5802442Cu)
#define RCC_PLL1DIVR EF_REG32(0x58024430u)
#define RCC_AHB4ENR EF_REG32(0x580244E0u)
#define RCC_APB1LENR EF_REG32(0x580244E8u)
#define CR_PLL1ON (1u << 24)
#define CR_PLL1RDY (1u << 25)
#define PLLCKSELR_HSI 0u
#define PLLCKSELR_DIVM1(value) ((value) << 4)
#define PLLCFGR_PLL1RGE_4_TO_8_MHZ (2u << 2)
#define PLLCFGR_DIVP1EN (1u << 16)
#define PLL1DIVR(n, p, q, r) (((n) - 1u) | ((p) - 1u) << 9 | ((q) - 1u) << 16 | ((r) - 1u) << 24)
#define CFGR_SW_PLL1 3u
#define CFGR_SWS(source) ((source) << 3)
#define APB1LENR_USART3EN (1u << 18)

#define CCSIDR EF_REG32(0xE000ED80u)
#define CSSELR EF_REG32(0xE000ED84u)
#define CCR EF_REG32(0xE000ED14u)
#define ICIALLU EF_REG32(0xE000EF50u)
#define DCISW EF_REG32(0xE000EF60u)
#define CCR_DC (1u << 16)
#define CCR_IC (1u << 17)

#define DEMCR EF_REG32(0xE000EDFCu)
#define DEMCR_TRCENA (1u << 24)
#define DWT_LAR EF_REG32(0xE0001FB0u)
#define LAR_KEY 0xC5ACCE55u

#if EF_CLOCK_HZ != 400000000u || EF_UART_BASE != 0x40004800u
#error "known are clock_hz = 400_000_000 and uart.base = 0x4000_4800 (USART3)"
#endif

static void start_clock(void) {
    /* the supply is chosen once after power-up, before the voltage */
    PWR_CR3 = (PWR_CR3 & ~(CR3_SCUEN | CR3_BYPASS)) | CR3_LDOEN;
    while ((PWR_CSR1 & CSR1_ACTVOSRDY) == 0u) {
    }
    PWR_D3CR |= D3CR_VOS1;
    while ((PWR_D3CR & D3CR_VOSRDY) == 0u) {
    }
    /* 64 MHz / M 16, times N 200, over P 2 */
    RCC_PLLCKSELR = PLLCKSELR_HSI | PLLCKSELR_DIVM1(16u);
    RCC_PLLCFGR = PLLCFGR_PLL1RGE_4_TO_8_MHZ | PLLCFGR_DIVP1EN;
    RCC_PLL1DIVR = PLL1DIVR(200u, 2u, 2u, 2u);
    RCC_CR |= CR_PLL1ON;
    while ((RCC_CR & CR_PLL1RDY) == 0u) {
    }
    /* buses at 200 MHz, peripherals at 100 */
    RCC_D1CFGR = 8u | 4u << 4;      /* HPRE, D1PPRE */
    RCC_D2CFGR = 4u << 4 | 4u << 8; /* D2PPRE1, D2PPRE2 */
    RCC_D3CFGR = 4u << 4;           /* D3PPRE */
    FLASH_ACR = ACR_WRHIGHFREQ(2u) | 2u;
    while ((FLASH_ACR & 15u) != 2u) {
    }
    RCC_CFGR = CFGR_SW_PLL1;
    while ((RCC_CFGR & CFGR_SWS(7u)) != CFGR_SWS(CFGR_SW_PLL1)) {
    }
}

static void start_caches(void) {
    CSSELR = 0; /* the data cache of level 1 */
    __asm volatile("dsb" ::: "memory");
    const uint32_t sets = (CCSIDR >> 13 & 0x7FFFu) + 1u;
    const uint32_t ways = (CCSIDR >> 3 & 0x3FFu) + 1u;
    for (uint32_t set = 0; set < sets; set++) {
        for (uint32_t way = 0; way < ways; way++) {
            DCISW = set << 5 | way << 30; /* 4 ways, lines of 32 bytes */
        }
    }
    ICIALLU = 0;
    __asm volatile("dsb\n\tisb" ::: "memory");
    CCR |= CCR_DC | CCR_IC;
    __asm volatile("dsb\n\tisb" ::: "memory");
}

void ef_soc_init(void) {
    start_clock();
    if ((CCR & CCR_DC) == 0u) { /* invalidating one that is on loses what it holds */
        start_caches();
    }
    DEMCR |= DEMCR_TRCENA;
    DWT_LAR = LAR_KEY;
    RCC_AHB4ENR |= EF_STM32_PORTS;
    RCC_APB1LENR |= APB1LENR_USART3EN;
    (void)RCC_APB1LENR; /* a clock takes two cycles to arrive */
    ef_stm32_uart_pins(0x58020000u);
}

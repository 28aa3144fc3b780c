/* RP2040: clock of 125 MHz from the 12 MHz crystal, microsecond timer, pins of the UART. Only the
 * first core runs; the other waits in the ROM.
 * Registers: RP2040 data sheet, 2.14 to 2.19 and 4.7. */
#include "ef_hal_bare.h"
#include "ef_hal_uart.h"

#define CLK_REF_CTRL EF_REG32(0x40008030u)
#define CLK_REF_SELECTED EF_REG32(0x40008038u)
#define CLK_SYS_CTRL EF_REG32(0x4000803Cu)
#define CLK_SYS_SELECTED EF_REG32(0x40008044u)
#define CLK_PERI_CTRL EF_REG32(0x40008048u)
#define CLK_REF_XOSC 2u
#define CLK_SYS_REF 0u
#define CLK_SYS_PLL 1u /* by the auxiliary multiplexer, whose first input is the PLL */
#define CLK_PERI_ENABLE (1u << 11)

#define RESETS_RESET EF_REG32(0x4000C000u)
#define RESETS_DONE EF_REG32(0x4000C008u)
#define RESET_IO_BANK0 (1u << 5)
#define RESET_PADS_BANK0 (1u << 8)
#define RESET_PLL_SYS (1u << 12)
#define RESET_TIMER (1u << 21)
#define RESET_UART0 (1u << 22)

#define GPIO_CTRL(pin) EF_REG32(0x40014004u + 8u * (pin))
#define GPIO_FUNCTION_UART 2u

#define XOSC_CTRL EF_REG32(0x40024000u)
#define XOSC_STATUS EF_REG32(0x40024004u)
#define XOSC_STARTUP EF_REG32(0x4002400Cu)
#define XOSC_ENABLE_1_15_MHZ 0xFABAA0u
#define XOSC_STABLE (1u << 31)

#define PLL_CS EF_REG32(0x40028000u)
#define PLL_PWR EF_REG32(0x40028004u)
#define PLL_FBDIV EF_REG32(0x40028008u)
#define PLL_PRIM EF_REG32(0x4002800Cu)
#define PLL_LOCK (1u << 31)
#define PLL_PWR_VCO_ON 0x0Cu /* all but post-dividers and DSM, which stays off */
#define PLL_PWR_ALL_ON 0x04u

#define WATCHDOG_TICK EF_REG32(0x4005802Cu)
#define TICK_ENABLE (1u << 9)

#define XOSC_MHZ 12u

#if EF_CLOCK_HZ != 125000000u || EF_UART_BASE != 0x40034000u
#error "known are clock_hz = 125_000_000 and uart.base = 0x4003_4000 (UART0)"
#endif

static void release(uint32_t blocks) {
    RESETS_RESET &= ~blocks;
    while ((~RESETS_DONE & blocks) != 0u) {
    }
}

static void start_clock(void) {
    XOSC_STARTUP = XOSC_MHZ * 1000u / 256u; /* a millisecond */
    XOSC_CTRL = XOSC_ENABLE_1_15_MHZ;
    while ((XOSC_STATUS & XOSC_STABLE) == 0u) {
    }
    CLK_SYS_CTRL = CLK_SYS_REF; /* off the PLL, where a debugger restarted the core */
    while (CLK_SYS_SELECTED != 1u << CLK_SYS_REF) {
    }
    CLK_REF_CTRL = CLK_REF_XOSC;
    while (CLK_REF_SELECTED != 1u << CLK_REF_XOSC) {
    }
    RESETS_RESET |= RESET_PLL_SYS;
    release(RESET_PLL_SYS);
    /* 12 MHz / 1, times 125, over 6 and 2 */
    PLL_CS = 1;
    PLL_FBDIV = 125;
    PLL_PWR = PLL_PWR_VCO_ON;
    while ((PLL_CS & PLL_LOCK) == 0u) {
    }
    PLL_PRIM = 6u << 16 | 2u << 12;
    PLL_PWR = PLL_PWR_ALL_ON;
    CLK_SYS_CTRL = CLK_SYS_PLL;
    while (CLK_SYS_SELECTED != 1u << CLK_SYS_PLL) {
    }
    CLK_PERI_CTRL = CLK_PERI_ENABLE; /* the core's */
    WATCHDOG_TICK = XOSC_MHZ | TICK_ENABLE;
}

void ef_soc_init(void) {
    start_clock();
    release(RESET_IO_BANK0 | RESET_PADS_BANK0 | RESET_TIMER | RESET_UART0);
    GPIO_CTRL(EF_UART_TX) = GPIO_FUNCTION_UART;
    GPIO_CTRL(EF_UART_RX) = GPIO_FUNCTION_UART;
}

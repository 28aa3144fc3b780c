/* ESP32-C3: watchdogs off, clock of 160 MHz, place of the fault handler.
 * Registers: ESP32-C3 Technical Reference Manual 1.0, chapters Reset and Clock, System Registers,
 * Timer Group, Low-Power Management, and Watchdog Timers. */
#include "ef_hal_bare.h"
#include "ef_hal_uart.h"

#define TIMG_WDTCONFIG0(group) EF_REG32(0x6001F048u + 0x1000u * (group))
#define TIMG_WDTWPROTECT(group) EF_REG32(0x6001F064u + 0x1000u * (group))
#define RTC_CNTL_WDTCONFIG0 EF_REG32(0x60008090u)
#define RTC_CNTL_WDTWPROTECT EF_REG32(0x600080A8u)
#define RTC_CNTL_SWD_CONF EF_REG32(0x600080ACu)
#define RTC_CNTL_SWD_WPROTECT EF_REG32(0x600080B0u)
#define WDT_KEY 0x50D83AA1u
#define SWD_KEY 0x8F1D312Au
#define SWD_AUTO_FEED_EN (1u << 31)

#define SYSTEM_CPU_PER_CONF EF_REG32(0x600C0008u)
#define SYSTEM_SYSCLK_CONF EF_REG32(0x600C0058u)
#define CPUPERIOD_SEL_MASK 3u
#define CPUPERIOD_SEL_160_MHZ 1u
#define PLL_FREQ_SEL_480_MHZ (1u << 2)
#define SOC_CLK_SEL_MASK (3u << 10)
#define SOC_CLK_SEL_PLL (1u << 10)

#define WITH_CSR(instruction) ".option push\n.option arch, +zicsr\n" instruction "\n.option pop"

void ef_fault(void); /* of start.S */

/* The table of this core is at a multiple of 256 bytes; its first entry takes the exceptions. */
__attribute__((naked, aligned(256))) static void table(void) {
    __asm volatile("j ef_fault");
}

static void stop_watchdogs(void) {
    for (uint32_t group = 0; group < 2u; group++) {
        TIMG_WDTWPROTECT(group) = WDT_KEY;
        TIMG_WDTCONFIG0(group) = 0;
        TIMG_WDTWPROTECT(group) = 0;
    }
    RTC_CNTL_WDTWPROTECT = WDT_KEY;
    RTC_CNTL_WDTCONFIG0 = 0;
    RTC_CNTL_WDTWPROTECT = 0;
    RTC_CNTL_SWD_WPROTECT = SWD_KEY;
    RTC_CNTL_SWD_CONF |= SWD_AUTO_FEED_EN; /* the super watchdog cannot be stopped */
    RTC_CNTL_SWD_WPROTECT = 0;
}

void ef_soc_init(void) {
    stop_watchdogs();
    __asm volatile(WITH_CSR("csrw mtvec, %0") : : "r"((uintptr_t)table | 1u));
    /* direct boot leaves the core at half of the crystal's clock; the PLL is on after power-up */
    SYSTEM_CPU_PER_CONF =
        (SYSTEM_CPU_PER_CONF & ~CPUPERIOD_SEL_MASK) | PLL_FREQ_SEL_480_MHZ | CPUPERIOD_SEL_160_MHZ;
    SYSTEM_SYSCLK_CONF = (SYSTEM_SYSCLK_CONF & ~SOC_CLK_SEL_MASK) | SOC_CLK_SEL_PLL;
}

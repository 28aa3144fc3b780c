/* A program on Zephyr 2.6 or newer: its console is the line to the host. */
#include "ef_hal.h"
#include "ef_link.h"

#if __has_include(<zephyr/kernel.h>)
#include <zephyr/drivers/uart.h>
#include <zephyr/kernel.h>
#else /* before 3.1 */
#include <drivers/uart.h>
#include <kernel.h>
#endif

#if defined(CONFIG_USB_DEVICE_STACK) && !defined(CONFIG_USB_DEVICE_INITIALIZE_AT_BOOT)
#define START_USB
#if __has_include(<zephyr/usb/usb_device.h>)
#include <zephyr/usb/usb_device.h>
#else
#include <usb/usb_device.h>
#endif
#endif

static const struct device *const console = DEVICE_DT_GET(DT_CHOSEN(zephyr_console));

/* ---- the line ------------------------------------------------------------------------------ */

#ifdef CONFIG_UART_INTERRUPT_DRIVEN

/* What the interrupt read. The host waits for an answer, so that its longest frame fits twice. */
static uint8_t ring[2 * EF_FRAME_MAX];
static volatile size_t filled, taken;
K_SEM_DEFINE(received, 0, 1);

static size_t after(size_t at) {
    return at + 1 < sizeof ring ? at + 1 : 0;
}

static void receive(const struct device *from, void *data) {
    uint8_t byte;

    ARG_UNUSED(data);
    if (!uart_irq_update(from) || !uart_irq_rx_ready(from)) {
        return;
    }
    while (uart_fifo_read(from, &byte, 1) == 1) {
        if (after(filled) != taken) { /* else the frame is lost, which its CRC tells */
            ring[filled] = byte;
            filled = after(filled);
        }
    }
    k_sem_give(&received);
}

static void start_line(void) {
    (void)uart_irq_callback_user_data_set(console, receive, NULL);
    uart_irq_rx_enable(console);
}

int ef_hal_getc(void) {
    while (taken == filled) {
        k_sem_take(&received, K_FOREVER);
    }
    uint8_t byte = ring[taken];
    taken = after(taken);
    return byte;
}

#else

static void start_line(void) {
}

int ef_hal_getc(void) {
    uint8_t byte;
    while (uart_poll_in(console, &byte) != 0) {
        k_busy_wait(10); /* simulated time goes on only so */
    }
    return byte;
}

#endif

void ef_hal_write(const uint8_t *data, size_t size) {
    for (; size > 0; size--) {
        uart_poll_out(console, *data++);
    }
}

/* ---- cycles -------------------------------------------------------------------------------- */

#if defined(CONFIG_ARMV7_M_ARMV8_M_MAINLINE)

/* Armv7-M Architecture Reference Manual (DDI 0403E), C1.6 and C1.8. */
#define REGISTER(address) (*(volatile uint32_t *)(address))
#define DEMCR REGISTER(0xE000EDFCu)
#define DEMCR_TRCENA (1u << 24)
#define DWT_CTRL REGISTER(0xE0001000u)
#define DWT_CTRL_CYCCNTENA 1u
#define DWT_CYCCNT REGISTER(0xE0001004u)
#define DWT_LAR REGISTER(0xE0001FB0u) /* of the Cortex-M7 */
#define UNLOCK 0xC5ACCE55u

static uint32_t core_hz;

/* The core's clock by the timer's, which may be slow: from one of its ticks to another. */
static uint32_t measured_hz(void) {
    const uint32_t timer_hz = (uint32_t)sys_clock_hw_cycles_per_sec();
    const uint32_t before = k_cycle_get_32();
    uint32_t first, last;
    do {
        first = k_cycle_get_32();
    } while (first == before);
    const uint32_t start = DWT_CYCCNT;
    do {
        last = k_cycle_get_32();
    } while (last - first < timer_hz / 8);
    const uint64_t cycles = DWT_CYCCNT - start;
    /* clocks are whole numbers of 100 kHz; the timer is not as exact */
    const uint64_t steps = cycles * timer_hz / (last - first) + 50000u;
    return (uint32_t)(steps / 100000u * 100000u);
}

static void start_cycles(void) {
    DEMCR |= DEMCR_TRCENA;
    DWT_LAR = UNLOCK;
    DWT_CTRL |= DWT_CTRL_CYCCNTENA;
    const uint32_t start = DWT_CYCCNT;
    k_busy_wait(100);
    if (DWT_CYCCNT == start) {
        return; /* an emulator, or a core without the counter */
    }
    /* SysTick counts cycles of the core */
    core_hz = IS_ENABLED(CONFIG_CORTEX_M_SYSTICK) ? (uint32_t)sys_clock_hw_cycles_per_sec()
                                                  : measured_hz();
}

uint32_t ef_hal_cycles(void) {
    return DWT_CYCCNT;
}

uint32_t ef_hal_cycles_hz(void) {
    return core_hz;
}

#else

static void start_cycles(void) {
}

#if defined(CONFIG_QEMU_TARGET) || defined(CONFIG_ARCH_POSIX)

/* Emulated time says nothing about a processor. */
uint32_t ef_hal_cycles(void) {
    return 0;
}

uint32_t ef_hal_cycles_hz(void) {
    return 0;
}

#elif defined(CONFIG_CORTEX_M_SYSTICK) || defined(CONFIG_XTENSA_TIMER)

/* Zephyr's clock counts cycles of the core. */
uint32_t ef_hal_cycles(void) {
    return k_cycle_get_32();
}

uint32_t ef_hal_cycles_hz(void) {
    return (uint32_t)sys_clock_hw_cycles_per_sec();
}

#else

/* Zephyr's clock has a rate of its own: nanoseconds of it. */
uint32_t ef_hal_cycles(void) {
    static uint32_t last, nanoseconds;
    const uint32_t now = k_cycle_get_32();
    const uint64_t ticks = now - last;
    last = now;
    nanoseconds += (uint32_t)(ticks * EF_NANOSECONDS / (uint32_t)sys_clock_hw_cycles_per_sec());
    return nanoseconds;
}

uint32_t ef_hal_cycles_hz(void) {
    return EF_NANOSECONDS;
}

#endif
#endif

/* ---- all ----------------------------------------------------------------------------------- */

/* Of the main thread, where the model runs; interrupts have a stack of their own. */
uint32_t ef_hal_stack_used(void) {
#if defined(CONFIG_INIT_STACKS) && defined(CONFIG_THREAD_STACK_INFO)
    size_t unused;
    if (k_thread_stack_space_get(k_current_get(), &unused) == 0) {
        return (uint32_t)(k_current_get()->stack_info.size - unused);
    }
#endif
    return 0;
}

void ef_hal_init(void) {
#ifdef START_USB
    (void)usb_enable(NULL);
#endif
    start_line();
    start_cycles();
}

/* The line that tells of a fault, for all bare-metal boards. */
#include "ef_hal_fault.h"
#include "ef_hal_uart.h"

static void write_text(const char *text) {
    while (*text) {
        ef_uart_write((uint8_t)*text++);
    }
}

static void write_hex(const char *label, uint32_t value) {
    write_text(label);
    for (int shift = 28; shift >= 0; shift -= 4) {
        ef_uart_write((uint8_t)"0123456789abcdef"[(value >> shift) & 15u]);
    }
}

void ef_hal_fault(uint32_t cause, uint32_t status, uint32_t pc, uint32_t ra) {
    ef_uart_init();
    write_hex("\r\nFAULT cause=0x", cause);
    write_hex(" status=0x", status);
    write_hex(" pc=0x", pc);
    write_hex(" ra=0x", ra);
    write_text("\r\n");
    for (;;) {
        __asm volatile("wfi");
    }
}

/* What all bare-metal boards share: output, stack high-water mark, fault line. */
#include "ef_hal_bare.h"
#include "ef_hal.h"
#include "ef_hal_uart.h"

extern uint32_t __stack_limit[], __stack_top[]; /* of the linker script */

void ef_hal_write(const uint8_t *data, size_t size) {
    for (size_t index = 0; index < size; index++) {
        ef_uart_write(data[index]);
    }
}

uint32_t ef_hal_stack_used(void) {
    const uint32_t *word = __stack_limit;
    while (word < __stack_top && *word == EF_STACK_PAINT) {
        word++;
    }
    return (uint32_t)((uintptr_t)__stack_top - (uintptr_t)word);
}

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

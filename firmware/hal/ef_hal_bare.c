/* Common part of all bare-metal boards: output, stack high-water mark, fault line. */
#include "ef_hal_bare.h"
#include "ef_hal.h"
#include "ef_hal_uart.h"

#include <string.h>

extern uint32_t __stack_limit[], __stack_top[]; /* of the linker script */

__attribute__((weak)) void ef_soc_init(void) {
}

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

void ef_hal_fault(uint32_t cause, uint32_t status, uint32_t pc, uint32_t ra) {
    const uint32_t values[] = {cause, status, pc, ra};
    const uint32_t *value = values;
    ef_uart_init();
    for (const char *at = "\r\nFAULT cause=0x% status=0x% pc=0x% ra=0x%\r\n"; *at != '\0'; at++) {
        if (*at != '%') {
            ef_uart_write((uint8_t)*at);
            continue;
        }
        for (int shift = 28; shift >= 0; shift -= 4) {
            ef_uart_write((uint8_t)"0123456789abcdef"[(*value >> shift) & 15u]);
        }
        value++;
    }
    for (;;) {
        __asm volatile("wfi");
    }
}

/* The C library's is ten times as long, for a speed that resetting a model does not need. */
void *memset(void *memory, int byte, size_t size) {
    uint8_t *to = memory;
    for (; size > 0; size--) {
        *to++ = (uint8_t)byte;
        __asm volatile("" ::: "memory"); /* or the loop becomes a call of memset */
    }
    return memory;
}

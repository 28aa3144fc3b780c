/* Firmware of test_boot.py. Commands: e<size, 4 bytes><bytes> echoes; s<size><bytes> sums and
 * answers 4 bytes; r<size> sends that many; u reports stack and counter; f faults. */
#include "ef_hal.h"

static uint8_t buffer[64];
static uint32_t initialised = 0x12345678u;
static uint32_t zeroed[3];

static uint32_t get_u32(void) {
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 32u; shift += 8u) {
        value |= ((uint32_t)ef_hal_getc() & 0xFFu) << shift;
    }
    return value;
}

static void put_u32(uint32_t value) {
    const uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                              (uint8_t)(value >> 24)};
    ef_hal_write(bytes, sizeof bytes);
}

#ifndef HOLE
#define HOLE 1024u
#endif

/* Uses at least `depth` times as much of the stack. */
static __attribute__((noinline)) uint32_t dig(uint32_t depth) {
    volatile uint8_t hole[HOLE];
    hole[0] = (uint8_t)depth;
    return depth <= 1u ? hole[0] : dig(depth - 1u) + hole[0];
}

int main(void) {
    ef_hal_init();
    ef_hal_write((const uint8_t *)"HELLO " EF_BOARD_NAME "\r\n",
                 sizeof("HELLO " EF_BOARD_NAME "\r\n") - 1u);
    for (;;) {
        const int command = ef_hal_getc();
        if (command < 0) {
            return 0;
        }
        if (command == 'e') {
            for (uint32_t left = get_u32(); left > 0; left--) {
                buffer[0] = (uint8_t)ef_hal_getc();
                ef_hal_write(buffer, 1);
            }
        } else if (command == 's') {
            uint32_t sum = 0;
            for (uint32_t left = get_u32(); left > 0; left--) {
                sum = sum * 31u + (uint32_t)ef_hal_getc();
            }
            put_u32(sum);
        } else if (command == 'r') {
            for (uint32_t left = get_u32(); left > 0; left -= (uint32_t)sizeof buffer) {
                for (uint32_t index = 0; index < sizeof buffer; index++) {
                    buffer[index] = (uint8_t)(left + index);
                }
                ef_hal_write(buffer, sizeof buffer);
            }
        } else if (command == 'd') {
            put_u32(dig(get_u32()));
        } else if (command == 'u') {
            put_u32(ef_hal_stack_used());
            put_u32(ef_hal_cycles_hz());
            put_u32(initialised);
            put_u32(zeroed[0] | zeroed[1] | zeroed[2]);
            initialised++;
            zeroed[1]++;
        } else if (command == 'f') {
            __builtin_trap();
        }
    }
}

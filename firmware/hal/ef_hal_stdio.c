/* A program on an operating system: serial input and output are file descriptors 0 and 1. */
#define _POSIX_C_SOURCE 200809L

#include "ef_hal.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

static uint8_t input[4096];
static size_t input_used;
static size_t input_size;

void ef_hal_init(void) {
}

int ef_hal_getc(void) {
    if (input_used == input_size) {
        ssize_t size;
        do {
            size = read(STDIN_FILENO, input, sizeof input);
        } while (size < 0 && errno == EINTR);
        if (size <= 0) {
            return -1;
        }
        input_size = (size_t)size;
        input_used = 0;
    }
    return input[input_used++];
}

void ef_hal_write(const uint8_t *data, size_t size) {
    while (size > 0) {
        const ssize_t written = write(STDOUT_FILENO, data, size);
        if (written < 0 && errno != EINTR) {
            _exit(1); /* nobody listens any more */
        }
        if (written > 0) {
            data += written;
            size -= (size_t)written;
        }
    }
}

/* Nanoseconds of a monotonic clock: what stands nearest to a cycle counter here. */
uint32_t ef_hal_cycles(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * EF_NANOSECONDS + (uint64_t)now.tv_nsec);
}

uint32_t ef_hal_cycles_hz(void) {
    return EF_NANOSECONDS;
}

uint32_t ef_hal_stack_used(void) {
    return 0;
}

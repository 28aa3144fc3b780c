/* A microcontroller in simavr with an image in its flash and its USART 0 on a socket.
 *
 * ef_simavr MCU HZ SOCKET IMAGE: a name, a rate, and file descriptors; ef_simavr --version. Time is
 * that of the microcontroller alone: it stops while the core sleeps and the socket brings nothing.
 * Ends with the socket. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_core_config.h>

#define LOOK 4096 /* instructions after which a busy core's socket is looked at */

static int line;
static uint8_t output[4096], input[4096];
static size_t written, taken, given;
static int ready; /* the USART takes bytes */

static void quit(const char *what, const char *why) {
    fprintf(stderr, "ef_simavr: %s: %s\n", what, why);
    exit(1);
}

static void flush(void) {
    for (size_t at = 0; at < written;) {
        ssize_t size = send(line, output + at, written - at, MSG_NOSIGNAL);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            exit(0);
        at += (size_t)size;
    }
    written = 0;
}

static void on_output(struct avr_irq_t *irq, uint32_t value, void *unused) {
    (void)irq, (void)unused;
    output[written++] = (uint8_t)value;
    if (written == sizeof output)
        flush();
}

static void on_ready(struct avr_irq_t *irq, uint32_t value, void *unused) {
    (void)irq, (void)value, (void)unused;
    ready = 1;
}

static void on_full(struct avr_irq_t *irq, uint32_t value, void *unused) {
    (void)irq, (void)value, (void)unused;
    ready = 0;
}

/* A sleeping core's time passes at once. */
static void no_wait(avr_t *avr, avr_cycle_count_t cycles) {
    (void)avr, (void)cycles;
}

/* Takes what the socket has; with `wait` until it has something. Leaves at its end. */
static void receive(int wait) {
    ssize_t size;
    do {
        size = recv(line, input, sizeof input, wait ? 0 : MSG_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EWOULDBLOCK))
        exit(0);
    taken = 0;
    given = size < 0 ? 0 : (size_t)size;
}

static void load(avr_t *avr, int image) {
    size_t size = 0;
    for (;;) {
        ssize_t got = pread(image, avr->flash + size, avr->flashend + 1 - size, (off_t)size);
        if (got < 0)
            quit("image", "cannot be read");
        if (got == 0)
            break;
        size += (size_t)got;
    }
    avr->codeend = (avr_flashaddr_t)size;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return puts(CONFIG_SIMAVR_VERSION) < 0;
    if (argc != 5)
        quit("usage", "ef_simavr MCU HZ SOCKET IMAGE");
    avr_t *avr = avr_make_mcu_by_name(argv[1]);
    if (avr == NULL)
        quit(argv[1], "simavr has no such microcontroller");
    avr_init(avr);
    avr->frequency = (uint32_t)strtoul(argv[2], NULL, 10);
    avr->sleep = no_wait;
    line = atoi(argv[3]);
    load(avr, atoi(argv[4]));

    uint32_t flags = 0; /* no echo to the terminal, no sleep of the host */
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    avr_irq_t *usart = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), 0);
    if (usart == NULL)
        quit(argv[1], "has no USART 0 in simavr");
    avr_irq_register_notify(usart + UART_IRQ_OUTPUT, on_output, NULL);
    avr_irq_register_notify(usart + UART_IRQ_OUT_XON, on_ready, NULL);
    avr_irq_register_notify(usart + UART_IRQ_OUT_XOFF, on_full, NULL);

    avr_cycle_count_t fed = 0; /* when it last got a byte, which may still be on its way */
    for (unsigned turn = 1;; turn++) {
        const int idle = avr->state == cpu_Sleeping;
        if (idle || turn % LOOK == 0) {
            flush();
            if (taken == given)
                receive(idle && avr->cycle - fed > avr->frequency / 100);
        }
        while (ready && taken < given) {
            avr_raise_irq(usart + UART_IRQ_INPUT, input[taken++]);
            fed = avr->cycle;
        }
        const int state = avr_run(avr);
        if (state == cpu_Done || state == cpu_Crashed) {
            flush();
            quit(argv[1], state == cpu_Done ? "the core stopped for good" : "the core crashed");
        }
    }
}

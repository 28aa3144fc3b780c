/* An Arduino Uno: simavr's ATmega328P at 16 MHz with a boot loader, its UART at the file descriptor
 * PORT, reset where DTR rises. FLASH is a file that stays when the power goes. The byte number FLIP
 * that the loader receives after a reset arrives changed, and power goes after number CUT (0:
 * never).
 *
 *   uno BOOT.hex FLASH PORT LINES FLIP CUT */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <avr_uart.h>
#include <sim_avr.h>
#include <sim_hex.h>

#define CLOCK_HZ 16000000u
#define SLICE (CLOCK_HZ / 1000u)    /* cycles between two looks at the port */
#define MCUSR 0x54                  /* data address, ATmega328P data sheet, chapter 30 */
#define EXTRF 0x02                  /* Optiboot waits for a sketch after an external reset only */
#define BLINKS (CLOCK_HZ / 5u * 2u) /* cycles: Optiboot's LED takes 6/16 s before it listens */

static int port;
static int ready; /* the UART takes bytes */
static unsigned long received, flip, cut;
static avr_cycle_count_t started;

static void sent(struct avr_irq_t *irq, uint32_t value, void *parameter) {
    uint8_t byte = (uint8_t)value;
    struct pollfd to = {port, POLLOUT, 0};
    (void)irq;
    (void)parameter;
    while (write(port, &byte, 1) != 1 && poll(&to, 1, 1000) >= 0) {
    }
}

static void set_ready(struct avr_irq_t *irq, uint32_t value, void *parameter) {
    (void)irq;
    (void)value;
    ready = parameter != NULL;
}

static void reset(avr_t *avr) {
    avr_reset(avr);
    avr->data[MCUSR] = EXTRF;
    received = 0;
    started = avr->cycle;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Flash in a file, with the loader at its place; resets start in it (fuse BOOTRST). */
static void load(avr_t *avr, const char *loader, const char *path) {
    size_t size = avr->flashend + 1u;
    int file = open(path, O_RDWR);
    ihex_chunk_p chunks;
    int count = read_ihex_chunks(loader, &chunks);
    avr->flash = mmap(NULL, size + 4u, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (avr->flash == MAP_FAILED || count <= 0) {
        perror("flash or boot loader");
        exit(1);
    }
    for (int i = 0; i < count; i++) {
        memcpy(avr->flash + chunks[i].baseaddr, chunks[i].data, chunks[i].size);
    }
    avr->reset_pc = chunks[0].baseaddr;
    avr->codeend = avr->flashend;
}

int main(int argc, char **argv) {
    avr_t *avr = avr_make_mcu_by_name("atmega328p");
    if (argc != 7 || avr == NULL) {
        return 1;
    }
    avr_init(avr);
    avr->frequency = CLOCK_HZ;
    load(avr, argv[1], argv[2]);
    port = atoi(argv[3]);
    int lines = open(argv[4], O_RDWR | O_NONBLOCK);
    flip = strtoul(argv[5], NULL, 0);
    cut = strtoul(argv[6], NULL, 0);

    uint32_t flags = 0; /* neither sleeps while the program polls nor prints */
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    avr_irq_t *input = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
    avr_irq_register_notify(input + UART_IRQ_OUTPUT, sent, NULL);
    avr_irq_register_notify(input + UART_IRQ_OUT_XON, set_ready, &ready);
    avr_irq_register_notify(input + UART_IRQ_OUT_XOFF, set_ready, NULL);

    reset(avr);
    int dtr = 1;
    double start = now();
    avr_cycle_count_t next = 0;
    for (;;) {
        int state = avr_run(avr);
        if (state == cpu_Crashed) {
            fprintf(stderr, "the program crashed at %#x\n", (unsigned)avr->pc);
            return 1;
        }
        if (state == cpu_Done) { /* asleep without interrupts: only a reset wakes it */
            usleep(1000);
            next = 0;
        }
        if (avr->cycle < next) {
            continue;
        }
        next = avr->cycle + SLICE;
        int blinks = avr->cycle - started < BLINKS;
        double ahead = (double)avr->cycle / CLOCK_HZ - (now() - start);
        if (ahead > 0 && !blinks) { /* the loader's time-out of a second is one of the host's */
            usleep((useconds_t)(ahead * 1e6));
        } else { /* what a busy host was late is not made up for, nor the blinking waited for */
            start -= ahead;
        }
        uint8_t byte;
        for (int i = 0; ready && i < 8 && read(port, &byte, 1) == 1; i++) {
            if (blinks) { /* nobody reads: it would wait in simavr's UART, but not in a real one */
                continue;
            }
            avr_raise_irq(input, ++received == flip ? byte ^ 0x10u : byte);
            if (received == cut) {
                return 0;
            }
        }
        char text[4];
        while (read(lines, text, sizeof text) == sizeof text) {
            if (text[0] == '1' && !dtr) {
                reset(avr);
            }
            dtr = text[0] == '1';
        }
    }
}

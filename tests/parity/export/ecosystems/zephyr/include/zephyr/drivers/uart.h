/* The console of Zephyr 3.7's UART drivers, over standard input and output. */
#ifndef ZEPHYR_DRIVERS_UART_H
#define ZEPHYR_DRIVERS_UART_H

#include <zephyr/kernel.h>

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct device {
    int input, output;
};

typedef void (*uart_irq_callback_user_data_t)(const struct device *dev, void *user_data);

#define DT_CHOSEN(name) name
#define DEVICE_DT_GET(node) (&node)
static const struct device zephyr_console = {STDIN_FILENO, STDOUT_FILENO};
static uart_irq_callback_user_data_t uart_callback;
static pthread_t uart_interrupts;

static inline int uart_irq_rx_ready(const struct device *dev) {
    struct pollfd input = {dev->input, POLLIN, 0};
    return poll(&input, 1, 0) > 0;
}

static inline int uart_irq_update(const struct device *dev) {
    ARG_UNUSED(dev);
    return 1;
}

/* As many bytes as asked for at most, and none where none has come. */
static inline int uart_fifo_read(const struct device *dev, uint8_t *data, int size) {
    ssize_t count;
    if (!uart_irq_rx_ready(dev))
        return 0;
    count = read(dev->input, data, (size_t)size);
    if (count <= 0)
        exit(0); /* the line is gone */
    return (int)count;
}

static void *uart_wait(void *dev) {
    const struct device *console = dev;
    struct pollfd input = {console->input, POLLIN, 0};
    while (poll(&input, 1, -1) > 0)
        uart_callback(console, NULL);
    return NULL;
}

static inline int uart_irq_callback_user_data_set(const struct device *dev,
                                                  uart_irq_callback_user_data_t callback,
                                                  void *user_data) {
    ARG_UNUSED(dev);
    ARG_UNUSED(user_data);
    uart_callback = callback;
    return 0;
}

static inline void uart_irq_rx_enable(const struct device *dev) {
    pthread_create(&uart_interrupts, NULL, uart_wait, (void *)(uintptr_t)dev);
}

static inline void uart_poll_out(const struct device *dev, unsigned char byte) {
    if (write(dev->output, &byte, 1) != 1)
        exit(1);
}

#endif

/* What the profile sample takes of Zephyr 3.7's kernel, over POSIX: a thread is its interrupts. */
#ifndef ZEPHYR_KERNEL_H
#define ZEPHYR_KERNEL_H

#define _POSIX_C_SOURCE 200809L

#include <semaphore.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define ARG_UNUSED(x) (void)(x)
#define K_FOREVER (-1)
#define K_SEM_DEFINE(name, initial, limit) struct k_sem name

struct k_sem {
    sem_t posix; /* zeros are an empty one on Linux */
};

static inline int k_sem_take(struct k_sem *sem, int timeout) {
    ARG_UNUSED(timeout);
    return sem_wait(&sem->posix);
}

static inline void k_sem_give(struct k_sem *sem) {
    sem_post(&sem->posix);
}

/* A timer of 32,768 Hz, as many boards have. */
static inline uint32_t k_cycle_get_32(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 32768u + (uint64_t)now.tv_nsec * 32768u / 1000000000u);
}

static inline int sys_clock_hw_cycles_per_sec(void) {
    return 32768;
}

struct k_thread {
    struct {
        size_t size;
    } stack_info;
};

static inline struct k_thread *k_current_get(void) {
    static struct k_thread main_thread = {{CONFIG_MAIN_STACK_SIZE}};
    return &main_thread;
}

static inline int k_thread_stack_space_get(const struct k_thread *thread, size_t *unused) {
    *unused = thread->stack_info.size - 100;
    return 0;
}

#endif

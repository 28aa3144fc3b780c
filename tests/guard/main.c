/* Firmware around a model whose layers play their own inputs back: runs CASE_STEPS steps and tells
 * a checksum of the layers' outputs after each. `case.h` names the outputs in model_t. */
#include "case.h"
#include "ef_hal.h"
#include "ef_profile.h"
#include "model.h"

#ifdef __riscv
#define READ_STACK_POINTER "mv %0, sp"
#else
#define READ_STACK_POINTER "mov %0, sp"
#endif

/* Names that the plugin looks up. */
void guard_enter(const volatile char *stack);
void guard_run(void);
extern model_t guard_model;
extern int16_t guard_x[CASE_X + MODEL_INPUTS], guard_y[CASE_Y + MODEL_OUTPUTS];

model_t guard_model;
int16_t guard_x[CASE_X + MODEL_INPUTS], guard_y[CASE_Y + MODEL_OUTPUTS];

static const struct {
    uint32_t offset; /* bytes into model_t */
    uint32_t size;   /* int16 values */
} outputs[] = CASE_OUTPUTS;

static void print_hex(uint32_t value) {
    for (int shift = 28; shift >= 0; shift -= 4) {
        const uint8_t digit = (uint8_t)"0123456789abcdef"[value >> shift & 15u];
        ef_hal_write(&digit, 1);
    }
    ef_hal_write((const uint8_t *)"\n", 1);
}

/* FNV-1a over the values of all layers. */
static uint32_t checksum(void) {
    uint32_t sum = 2166136261u;
    for (uint32_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        const int16_t *y =
            (const int16_t *)(const void *)((const char *)&guard_model + outputs[i].offset);
        for (uint32_t k = 0; k < outputs[i].size; k++) {
            sum = (sum ^ (uint16_t)y[k]) * 16777619u;
        }
    }
    return sum;
}

/* Tells the end of a step's stack by a load from it. */
__attribute__((noinline)) void guard_enter(const volatile char *stack) {
    (void)*stack;
}

/* What it does itself is not watched. */
__attribute__((noinline)) void guard_run(void) {
    const char *stack;
    __asm volatile(READ_STACK_POINTER : "=r"(stack)::"memory");
    guard_enter(stack);
    ef_profile_begin();
    model_step(&guard_model, guard_x + CASE_X, guard_y + CASE_Y);
    ef_profile_end();
}

int main(void) {
    ef_hal_init();
    model_init(&guard_model);
    for (uint32_t step = 0; step < CASE_STEPS; step++) {
        guard_run();
        print_hex(checksum());
    }
    ef_hal_write((const uint8_t *)"done\n", 5);
    return 0;
}

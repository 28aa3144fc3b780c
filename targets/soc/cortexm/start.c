/* Start-up of all Cortex-M boards: vector table, memory initialisation, fault report.
 * Interrupts stay disabled for good, so that instruction counts are the same in every run. */
#include <stdint.h>

#include "ef_hal_bare.h"

#define VTOR (*(volatile uint32_t *)0xE000ED08u)
#define CCR (*(volatile uint32_t *)0xE000ED14u)
#define CFSR (*(volatile uint32_t *)0xE000ED28u)

/* Of the linker script; only their addresses mean anything. */
extern uint32_t *const __copies_start[], *const __copies_end[]; /* from, to, end of each */
extern uint32_t __bss_start[], __bss_end[];
extern uint32_t __stack_limit[], __stack_top[];

typedef void (*vector_t)(void);
extern const vector_t ef_vectors[16];

int main(void);
void Reset_Handler(void);
void Fault_Handler(void);
void ef_start(void);
void ef_fault_entry(uint32_t pc, uint32_t lr, uint32_t exception);

__attribute__((naked, used)) void Reset_Handler(void) {
    __asm volatile(
        "cpsid i\n"
        "ldr r0, =__stack_top\n"
        "mov sp, r0\n"
#if __ARM_ARCH >= 8
        "ldr r0, =__stack_limit\n" /* an overflow faults instead of corrupting data */
        "msr msplim, r0\n"
#endif
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
        /* CPACR: full access to CP10 and CP11, before the first FPU or MVE instruction */
        "ldr r0, =0xE000ED88\n"
        "ldr r1, [r0]\n"
        "ldr r2, =0x00F00000\n"
        "orr r1, r2\n"
        "str r1, [r0]\n"
        "dsb\n"
        "isb\n"
#endif
        "bl ef_start\n"
        ".ltorg\n");
}

__attribute__((used, noreturn)) void ef_start(void) {
    /* volatile, here and below: no call of memset, whose frame would be painted over */
    volatile uint32_t *here;
    __asm volatile("mov %0, sp" : "=r"(here));
    for (volatile uint32_t *word = __stack_limit; word < here; word++) {
        *word = EF_STACK_PAINT;
    }
    for (uint32_t *const *copy = __copies_start; copy < __copies_end; copy += 3) {
        const uint32_t *from = copy[0];
        for (volatile uint32_t *to = copy[1]; to < copy[2]; to++) {
            *to = *from++;
        }
    }
    for (volatile uint32_t *to = __bss_start; to < __bss_end; to++) {
        *to = 0;
    }
#if __ARM_ARCH >= 7 && !defined(EF_EMULATED)
    VTOR = (uint32_t)(uintptr_t)ef_vectors; /* a loader that started the image left its own */
#endif
#if defined(__ARM_FEATURE_MVE)
    CCR |= 1u << 19; /* LOB: low-overhead branches */
#endif
    __asm volatile("dsb\nisb" ::: "memory"); /* code was written */
    (void)main();
    for (;;) {
        __asm volatile("wfi");
    }
}

/* Takes what the core stacked, then starts a fresh stack: the old one may be full. */
__attribute__((naked, used)) void Fault_Handler(void) {
    __asm volatile("mrs r3, msp\n"
                   "ldr r0, [r3, #24]\n"
                   "ldr r1, [r3, #20]\n"
                   "mrs r2, ipsr\n"
#if __ARM_ARCH >= 8
                   "movs r3, #0\n"
                   "msr msplim, r3\n"
#endif
                   "ldr r3, =__stack_top\n"
                   "mov sp, r3\n"
                   "bl ef_fault_entry\n"
                   ".ltorg\n");
}

__attribute__((used)) void ef_fault_entry(uint32_t pc, uint32_t lr, uint32_t exception) {
#if __ARM_ARCH >= 7
    const uint32_t status = CFSR;
#else
    const uint32_t status = 0;
#endif
    ef_hal_fault(exception, status, pc, lr);
}

__attribute__((section(".vectors"), used)) const vector_t ef_vectors[16] = {
    (vector_t)(uintptr_t)__stack_top,
    Reset_Handler,
    Fault_Handler, /* NMI */
    Fault_Handler, /* HardFault, and all below while they are not enabled */
    Fault_Handler, /* MemManage */
    Fault_Handler, /* BusFault */
    Fault_Handler, /* UsageFault */
    Fault_Handler, /* SecureFault */
    0,
    0,
    0,
    Fault_Handler, /* SVCall */
    Fault_Handler, /* DebugMonitor */
    0,
    Fault_Handler, /* PendSV */
    Fault_Handler, /* SysTick */
};

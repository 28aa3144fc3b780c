/* Start-up for newlib with semihosting, whose _start does all but the vector table and the FPU. */
#include <stdint.h>

void _start(void);
void Reset_Handler(void);

__attribute__((naked, used)) void Reset_Handler(void) {
    __asm volatile("ldr r0, =0xE000ED88\n" /* CPACR: full access to CP10 and CP11 */
                   "ldr r1, [r0]\n"
                   "orr r1, #0x00F00000\n"
                   "str r1, [r0]\n"
                   "dsb\n"
                   "isb\n"
                   "b _start\n"
                   ".ltorg\n");
}

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t stack_top;
    void (*reset)(void);
} vectors = {0x00400000u, Reset_Handler};

/* LPUART of ST's families: a USART with another divider. Registers: RM0432 48.7. */
#define STEPS_OF_A_CYCLE 256u
#include "ef_hal_uart_stm32v2.c"

/* Stand-in for FreeRTOS as InfiniTime configures it. */
#ifndef INC_FREERTOS_H
#define INC_FREERTOS_H

#include <stdint.h>

typedef uint32_t TickType_t;
#define configTICK_RATE_HZ 1024

#endif

/* Stand-in for FreeRTOS's task.h. */
#ifndef INC_TASK_H
#define INC_TASK_H

#include <FreeRTOS.h>

#ifdef __cplusplus
extern "C"
#endif
    TickType_t xTaskGetTickCount(void);

#endif

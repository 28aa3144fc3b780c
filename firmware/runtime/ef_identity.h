/* What an image tells of itself in the reply to HELLO, as its bytes go over the line. */
#ifndef EF_IDENTITY_H
#define EF_IDENTITY_H

#include <stdint.h>

#include "ef_flash.h"

#ifndef EF_BOARD_NAME
#define EF_BOARD_NAME "unknown"
#endif
#ifndef EF_VERSION
#define EF_VERSION "unknown"
#endif

#define EF_PROTOCOL_VERSION 2u

typedef struct {
    uint8_t version, model[8], build[8], inputs[2], outputs[2], window[2];
    char board[sizeof EF_BOARD_NAME], firmware[sizeof EF_VERSION]; /* each with its zero */
} ef_identity_t;

extern const EF_FLASH ef_identity_t ef_identity;

#endif

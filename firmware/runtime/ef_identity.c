/* Compiled after all others, as the number of the build is a digest of them. */
#include "ef_identity.h"

#include "model.h"

/* Brace initialiser of 8 bytes. */
#ifndef EF_BUILD_ID
#define EF_BUILD_ID {0}
#endif

#if MODEL_INPUTS > 65535 || MODEL_OUTPUTS > 65535 || MODEL_WINDOW > 65535
#error "the protocol counts inputs, outputs and window in 16 bits"
#endif

#define U16(value) {(value) & 0xFFu, (value) >> 8}

const EF_FLASH ef_identity_t ef_identity = {
    .version = EF_PROTOCOL_VERSION,
    .model = MODEL_HASH,
    .build = EF_BUILD_ID,
    .inputs = U16(MODEL_INPUTS),
    .outputs = U16(MODEL_OUTPUTS),
    .window = U16(MODEL_WINDOW),
    .board = EF_BOARD_NAME,
    .firmware = EF_VERSION,
};

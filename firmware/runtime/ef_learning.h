/* LEARN, FORGET, SAVE and LOAD of a model that learns; see docs/protocol.md. */
#ifndef EF_LEARNING_H
#define EF_LEARNING_H

#include "model.h"

#ifdef MODEL_LEARNED_SIZE
#include <stdbool.h>
#include <stddef.h>

enum { LEARN = 0x05, FORGET = 0x06, SAVE = 0x07, LOAD = 0x08 };
enum { NO_SUCH_CLASS = 6, NOT_LEARNED_HERE = 7, NOTHING_KEPT = 8 };

static inline bool ef_learning_knows(unsigned type) {
    return type >= LEARN && type <= LOAD;
}

/* Takes the newest of what this program kept in the board's flash, if there is any. */
void ef_learning_begin(model_t *model);

/*
 * Tells what is wrong with a request, an ERROR code, or 0; a body that is too long or short is
 * `bad_length`. Takes the bytes of LOAD, and writes flash: repetition does no harm.
 */
unsigned ef_learning_refusal(model_t *model, unsigned type, const uint8_t *body, size_t size,
                             unsigned bad_length);

/* Carries out a request that is right; writes the body of the reply, at most `room` bytes. */
size_t ef_learning_answer(model_t *model, unsigned type, const uint8_t *body, size_t body_size,
                          uint8_t *reply, size_t room);
#endif

#endif

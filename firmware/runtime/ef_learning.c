/* A model that learns, over the line: what it learned goes and comes in parts. */
#include "ef_learning.h"

#ifdef MODEL_LEARNED_SIZE
#include <string.h>

static uint8_t blob[MODEL_LEARNED_SIZE];

static size_t number(const uint8_t *body) {
    return body[0] | (size_t)body[1] << 8;
}

unsigned ef_learning_refusal(model_t *model, unsigned type, const uint8_t *body, size_t size,
                             unsigned bad_length) {
    if (type == FORGET)
        return size == 0 ? 0 : bad_length;
    if (size < 2 || (type != LOAD && size != 2))
        return bad_length;
    const size_t offset = number(body);
    if (type == LEARN)
        return model_learn(model, (int)offset) == 0 ? 0 : NO_SUCH_CLASS;
    if (offset > MODEL_LEARNED_SIZE || size - 2 > MODEL_LEARNED_SIZE - offset)
        return bad_length;
    if (type == SAVE)
        return 0;
    memcpy(blob + offset, body + 2, size - 2);
    const int whole = offset + size - 2 == MODEL_LEARNED_SIZE;
    return whole && model_load(model, blob) != 0 ? NOT_LEARNED_HERE : 0;
}

size_t ef_learning_answer(model_t *model, unsigned type, const uint8_t *body, uint8_t *reply,
                          size_t room) {
    if (type == FORGET)
        model_forget(model);
    if (type != SAVE)
        return 0;
    const size_t offset = number(body);
    size_t size = MODEL_LEARNED_SIZE - offset;
    if (size > room - 2)
        size = room - 2;
    if (offset == 0)
        model_save(model, blob);
    reply[0] = (uint8_t)(MODEL_LEARNED_SIZE & 0xFF);
    reply[1] = (uint8_t)(MODEL_LEARNED_SIZE >> 8);
    memcpy(reply + 2, blob + offset, size);
    return size + 2;
}
#endif

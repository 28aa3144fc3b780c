/* A model that learns, over the line: what it learned goes and comes in parts. */
#include "ef_learning.h"

#ifdef MODEL_LEARNED_SIZE
#include <string.h>

static uint8_t blob[MODEL_LEARNED_SIZE];

#ifdef EF_SLOT_BASE
#include "ef_hal.h"
#include "ef_slots.h"

static uint32_t slot_at(unsigned slot) {
    return EF_SLOT_BASE + EF_SLOT_BYTES * slot;
}

static const uint8_t *read_slot(unsigned slot) {
    return (const uint8_t *)(uintptr_t)slot_at(slot);
}

static bool erase_slot(unsigned slot) {
    bool done = true;
    for (uint32_t at = 0; done && at < EF_SLOT_BYTES; at += EF_FLASH_PAGE)
        done = ef_hal_flash_erase(slot_at(slot) + at);
    return done;
}

static bool write_slot(unsigned slot, size_t offset, uint32_t word) {
    return ef_hal_flash_write(slot_at(slot) + (uint32_t)offset, word);
}

static const ef_slot_flash_t flash = {read_slot, erase_slot, write_slot};
typedef char slot_fits[EF_SLOT_SIZE(MODEL_LEARNED_SIZE) <= EF_SLOT_BYTES ? 1 : -1];

static bool keep(const model_t *model) {
    model_save(model, blob);
    return ef_slots_save(&flash, blob, sizeof blob);
}

static bool bring_back(model_t *model) {
    model_save(model, blob); /* for its begin: whose it is */
    const uint8_t *kept = ef_slots_newest(&flash, blob, sizeof blob);
    return kept != NULL && model_load(model, kept) == 0;
}
#else
static bool keep(const model_t *model) {
    (void)model;
    return false;
}

static bool bring_back(model_t *model) {
    (void)model;
    return false;
}
#endif

void ef_learning_begin(model_t *model) {
    (void)bring_back(model);
}

static size_t number(const uint8_t *body) {
    return body[0] | (size_t)body[1] << 8;
}

unsigned ef_learning_refusal(model_t *model, unsigned type, const uint8_t *body, size_t size,
                             unsigned bad_length) {
    if (type == FORGET)
        return size == 0 ? 0 : bad_length;
    if (size == 0 && type == SAVE)
        return keep(model) ? 0 : NOTHING_KEPT;
    if (size == 0 && type == LOAD)
        return bring_back(model) ? 0 : NOTHING_KEPT;
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

size_t ef_learning_answer(model_t *model, unsigned type, const uint8_t *body, size_t body_size,
                          uint8_t *reply, size_t room) {
    if (type == FORGET)
        model_forget(model);
    if (type != SAVE || body_size == 0)
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

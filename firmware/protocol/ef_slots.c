/* Two slots of flash; see ef_slots.h. */
#include "ef_slots.h"

#include "ef_crc32.h"

#include <string.h>

static uint32_t word_at(const uint8_t *at) {
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The sequence number of a whole slot of that owner, or 0. */
static uint32_t sequence_of(const uint8_t *slot, const uint8_t *owner, size_t size) {
    const uint8_t *end = slot + EF_SLOT_SIZE(size) - 8;
    const uint32_t sequence = word_at(end);
    if (sequence != ~word_at(end + 4) || memcmp(slot, owner, EF_SLOT_OWNER) != 0 ||
        word_at(slot + size - 4) != ef_crc32(slot, size - 4))
        return 0;
    return sequence;
}

/* The slot of the newest blob, with its sequence number; EF_SLOTS if none is whole. */
static unsigned newest(const ef_slot_flash_t *flash, const uint8_t *owner, size_t size,
                       uint32_t *sequence) {
    unsigned found = EF_SLOTS;
    *sequence = 0;
    for (unsigned slot = 0; slot < EF_SLOTS; slot++) {
        const uint32_t number = sequence_of(flash->read(slot), owner, size);
        if (number != 0 && (found == EF_SLOTS || (int32_t)(number - *sequence) > 0)) {
            found = slot;
            *sequence = number;
        }
    }
    return found;
}

bool ef_slots_save(const ef_slot_flash_t *flash, const uint8_t *blob, size_t size) {
    uint32_t sequence;
    const unsigned slot = newest(flash, blob, size, &sequence) == 0 ? 1 : 0;
    if (!flash->erase(slot))
        return false;
    for (size_t at = 0; at < size; at += 4) {
        uint32_t word = 0xFFFFFFFFu;
        for (size_t i = 0; i < 4 && at + i < size; i++)
            word ^= (uint32_t)(blob[at + i] ^ 0xFFu) << (8 * i);
        if (!flash->write(slot, at, word))
            return false;
    }
    sequence += sequence == 0xFFFFFFFFu ? 2 : 1; /* 0 is no number */
    const size_t end = EF_SLOT_SIZE(size) - 8;
    return flash->write(slot, end, sequence) && flash->write(slot, end + 4, ~sequence) &&
           sequence_of(flash->read(slot), blob, size) == sequence;
}

const uint8_t *ef_slots_newest(const ef_slot_flash_t *flash, const uint8_t *owner, size_t size) {
    uint32_t sequence;
    const unsigned slot = newest(flash, owner, size, &sequence);
    return slot == EF_SLOTS ? NULL : flash->read(slot);
}

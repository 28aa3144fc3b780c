/*
 * What a model learned, in flash: two slots in turn, of which a power cut leaves one whole.
 *
 * A slot is the blob, words of 0xFF up to a whole one, then a sequence number and its complement,
 * which are written last. The newer of the whole slots counts. Blobs of another program do not.
 */
#ifndef EF_SLOTS_H
#define EF_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EF_SLOTS = 2 };

/* Bytes at the begin of a blob that say whose it is: a version, and the hash of a program. */
#define EF_SLOT_OWNER 12

/* A flash with a place for each slot, which is erased to 0xFF as a whole and written in words. */
typedef struct {
    const uint8_t *(*read)(unsigned slot);
    bool (*erase)(unsigned slot);
    bool (*write)(unsigned slot, size_t offset, uint32_t word);
} ef_slot_flash_t;

/* Bytes that a slot needs for a blob. */
#define EF_SLOT_SIZE(blob) (((size_t)(blob) + 3u) / 4u * 4u + 8u)

/* Keeps a blob, which ends with its CRC-32. False if the flash fails: the last one is still there.
 */
bool ef_slots_save(const ef_slot_flash_t *flash, const uint8_t *blob, size_t size);

/* Returns the newest whole blob of that size and owner in the flash; null if there is none. */
const uint8_t *ef_slots_newest(const ef_slot_flash_t *flash, const uint8_t *owner, size_t size);

#endif

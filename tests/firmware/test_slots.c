/* Power cuts at every flash operation of many saves: what is found is the old blob or the new one.
 */
#include "ef_crc32.h"
#include "ef_slots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE 118 /* no multiple of 4 */

static uint8_t memory[EF_SLOTS][EF_SLOT_SIZE(SIZE)];
static long left;              /* operations until the power is cut; negative: never */
static uint32_t noise = 12345; /* of what a cut leaves behind */

static uint32_t random_word(void) {
    noise ^= noise << 13;
    noise ^= noise >> 17;
    noise ^= noise << 5;
    return noise;
}

static const uint8_t *read_slot(unsigned slot) {
    return memory[slot];
}

/* An erase that is cut leaves any of the bits that it was to set. */
static bool erase_slot(unsigned slot) {
    const bool cut = left-- == 0;
    for (size_t i = 0; i < sizeof memory[slot]; i++)
        memory[slot][i] |= (uint8_t)(cut ? random_word() : 0xFF);
    return !cut;
}

/* A write that is cut leaves any of the bits that it was to clear. */
static bool write_slot(unsigned slot, size_t offset, uint32_t word) {
    const bool cut = left-- == 0;
    if (cut)
        word |= random_word();
    for (size_t i = 0; i < 4; i++)
        memory[slot][offset + i] &= (uint8_t)(word >> (8 * i));
    return !cut;
}

static const ef_slot_flash_t flash = {read_slot, erase_slot, write_slot};

static uint8_t owner[EF_SLOT_OWNER];

static void make(uint8_t *blob) {
    memcpy(blob, owner, EF_SLOT_OWNER);
    for (size_t i = EF_SLOT_OWNER; i < SIZE - 4; i++)
        blob[i] = (uint8_t)random_word();
    const uint32_t crc = ef_crc32(blob, SIZE - 4);
    for (int i = 0; i < 4; i++)
        blob[SIZE - 4 + i] = (uint8_t)(crc >> (8 * i));
}

/* Another program's blobs are neither found nor kept from being written over. */
static long others(void) {
    uint8_t mine[SIZE], blob[SIZE];
    long wrong = 0;
    left = -1;
    for (int i = 0; i < 3; i++) {
        owner[4] = 7;
        make(mine);
        wrong += !ef_slots_save(&flash, mine, SIZE);
        wrong += !ef_slots_save(&flash, mine, SIZE);
        owner[4] = 8;
        wrong += ef_slots_newest(&flash, owner, SIZE) != NULL;
        make(blob);
        wrong += !ef_slots_save(&flash, blob, SIZE);
        owner[4] = 7; /* the older slot is still this one's */
        const uint8_t *found = ef_slots_newest(&flash, owner, SIZE);
        wrong += found == NULL || memcmp(found, mine, SIZE) != 0;
        owner[4] = 8;
        found = ef_slots_newest(&flash, owner, SIZE);
        wrong += found == NULL || memcmp(found, blob, SIZE) != 0;
    }
    return wrong;
}

int main(int argc, char **argv) {
    const long saves = argc > 1 ? atol(argv[1]) : 1000;
    long cuts = 0, kept_new = 0, wrong = 0;
    uint8_t old[SIZE], new[SIZE], before[sizeof memory];
    memset(memory, 0xFF, sizeof memory);
    wrong += ef_slots_newest(&flash, owner, SIZE) != NULL;
    left = -1;
    make(old);
    wrong += !ef_slots_save(&flash, old, SIZE);
    for (long save = 0; save < saves; save++) {
        make(new);
        memcpy(before, memory, sizeof memory);
        for (long operation = 0;; operation++) {
            memcpy(memory, before, sizeof memory);
            left = operation;
            const bool done = ef_slots_save(&flash, new, SIZE);
            const uint8_t *found = ef_slots_newest(&flash, owner, SIZE);
            const bool is_old = found != NULL && memcmp(found, old, SIZE) == 0;
            const bool is_new = found != NULL && memcmp(found, new, SIZE) == 0;
            wrong += !is_old && !is_new;
            if (done) {
                wrong += !is_new;
                break;
            }
            cuts++;
            kept_new += is_new;
            /* and the next save works, whatever the cut left */
            left = -1;
            wrong += !ef_slots_save(&flash, new, SIZE);
            found = ef_slots_newest(&flash, owner, SIZE);
            wrong += found == NULL || memcmp(found, new, SIZE) != 0;
        }
        memcpy(old, new, SIZE);
    }
    wrong += others();
    printf("%ld saves, %ld cuts, %ld with the new one, %ld wrong\n", saves, cuts, kept_new, wrong);
    return wrong == 0 && cuts > 30 * saves ? 0 : 1;
}

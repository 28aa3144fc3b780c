/* What was learned as bytes; see edgeflow/program/learning.py. */
#include "ef_kernels.h"

#define HASH_SIZE 8

/* CRC-32 of Ethernet, bit by bit: it runs once in a while, and a table would be flash. */
static uint32_t crc32(const uint8_t *data, size_t size) {
    uint32_t crc = 0xFFFFFFFFu;
    for (; size > 0; size--) {
        crc ^= *data++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xEDB88320u & -(crc & 1u));
    }
    return ~crc;
}

static void put(uint8_t *to, uint32_t value) {
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get(const uint8_t *from) {
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

void ef_learned_save(const void *model, const ef_part *parts, unsigned count, uint32_t version,
                     const uint8_t *hash, uint8_t *blob) {
    uint8_t *at = blob;
    put(at, version);
    memcpy(at + 4, hash, HASH_SIZE);
    at += 4 + HASH_SIZE;
    for (unsigned i = 0; i < count; i++) {
        memcpy(at, (const uint8_t *)model + parts[i].offset, parts[i].size);
        at += parts[i].size;
    }
    put(at, crc32(blob, (size_t)(at - blob)));
}

int ef_learned_load(void *model, const ef_part *parts, unsigned count, uint32_t version,
                    const uint8_t *hash, const uint8_t *blob) {
    size_t size = 4 + HASH_SIZE;
    for (unsigned i = 0; i < count; i++)
        size += parts[i].size;
    if (get(blob) != version || get(blob + size) != crc32(blob, size))
        return -1;
    for (int i = 0; i < HASH_SIZE; i++)
        if (blob[4 + i] != hash[i])
            return -1;
    blob += 4 + HASH_SIZE;
    for (unsigned i = 0; i < count; i++) {
        memcpy((uint8_t *)model + parts[i].offset, blob, parts[i].size);
        blob += parts[i].size;
    }
    return 0;
}

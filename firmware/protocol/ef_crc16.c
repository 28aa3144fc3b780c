#include "ef_crc16.h"

/* A byte at a time without a table: the eight steps of the shift register written out. */
uint16_t ef_crc16(const uint8_t *data, size_t size) {
    uint32_t crc = 0xFFFF;
    for (size_t i = 0; i < size; i++) {
        uint32_t x = (crc >> 8) ^ data[i];
        x ^= x >> 4;
        crc = ((crc << 8) ^ (x << 12) ^ (x << 5) ^ x) & 0xFFFF;
    }
    return (uint16_t)crc;
}

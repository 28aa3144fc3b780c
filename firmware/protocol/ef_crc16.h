/* CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xFFFF, not reflected, no final XOR. */
#ifndef EF_CRC16_H
#define EF_CRC16_H

#include <stddef.h>
#include <stdint.h>

uint16_t ef_crc16(const uint8_t *data, size_t size);

#endif

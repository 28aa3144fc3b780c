/* CRC-32 of Ethernet and zlib: polynomial 0x04C11DB7 reflected, start and final XOR 0xFFFFFFFF. */
#ifndef EF_CRC32_H
#define EF_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Of data that its own CRC follows, low byte first. */
#define EF_CRC32_RESIDUE 0x2144DF1Cu

uint32_t ef_crc32(const uint8_t *data, size_t size);

#endif

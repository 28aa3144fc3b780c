/* Coder and decoder behind pipes: reads an operation, a size (uint16) and data; answers a size
 * and data. 'e' encodes, 'd' decodes (0xFFFF: not a code), 'c' is the CRC-32. */
#include "ef_cobs.h"
#include "ef_crc32.h"

#include <stdio.h>
#include <stdlib.h>

static uint8_t result[2 * 65536];
static size_t used;

static void collect(const uint8_t *piece, size_t size) {
    for (size_t i = 0; i < size; i++) {
        result[used++] = piece[i];
    }
}

static int read_all(uint8_t *data, size_t size) {
    return fread(data, 1, size, stdin) == size;
}

int main(void) {
    uint8_t head[3];
    while (read_all(head, sizeof head)) {
        const size_t size = (size_t)(head[1] | head[2] << 8);
        uint8_t *data = malloc(size); /* of exact size: the sanitizer sees each byte too far */
        if (!read_all(data, size)) {
            return 1;
        }
        used = 0;
        size_t answer = 0;
        if (head[0] == 'e') {
            ef_cobs_encode(data, size, collect);
            answer = used;
        } else if (head[0] == 'd') {
            ef_cobs_decoder_t decoder;
            ef_cobs_start(&decoder);
            for (size_t i = 0; i < size; i++) {
                ef_cobs_feed(&decoder, data[i], result, 2048);
            }
            used = decoder.size;
            answer = ef_cobs_complete(&decoder) ? used : 0xFFFF;
        } else {
            const uint32_t crc = ef_crc32(data, size);
            for (answer = 0; answer < 4; answer++) {
                result[answer] = (uint8_t)(crc >> 8 * answer & 0xFF);
            }
            used = answer;
        }
        free(data);
        const uint8_t reply[2] = {(uint8_t)(answer & 0xFF), (uint8_t)(answer >> 8)};
        fwrite(reply, 1, sizeof reply, stdout);
        if (answer != 0xFFFF) {
            fwrite(result, 1, used, stdout);
        }
        fflush(stdout);
    }
    return 0;
}

#include "ef_link.h"

#include "ef_cobs.h"
#include "ef_crc16.h"
#include "ef_hal.h"

/* Type, sequence number and CRC. */
#define SHORTEST (2u + EF_CRC_SIZE)

static bool crc_is_right(const uint8_t *data, size_t size) {
    uint16_t crc = ef_crc16(data, size);
    return data[size] == (crc & 0xFFu) && data[size + 1] == (crc >> 8);
}

size_t ef_link_receive(ef_link_t *link) {
    for (;;) {
        ef_cobs_decoder_t decoder;
        ef_cobs_start(&decoder);
        bool empty = true;
        for (;;) {
            int byte = ef_hal_getc();
            if (byte < 0) {
                return 0;
            }
            if (byte == 0) {
                break;
            }
            empty = false;
            ef_cobs_feed(&decoder, (uint8_t)byte, link->in.bytes, sizeof link->in.bytes);
        }
        if (empty) {
            continue; /* zeros between frames only re-synchronise */
        }
        if (ef_cobs_complete(&decoder) && decoder.size >= SHORTEST &&
            crc_is_right(link->in.bytes, decoder.size - EF_CRC_SIZE)) {
            return decoder.size - EF_CRC_SIZE;
        }
        link->errors++;
    }
}

void ef_link_send(ef_link_t *link) {
    uint16_t crc = ef_crc16(link->out.bytes, link->out_size);
    link->out.bytes[link->out_size++] = (uint8_t)(crc & 0xFFu);
    link->out.bytes[link->out_size++] = (uint8_t)(crc >> 8);
    ef_link_send_again(link);
}

void ef_link_send_again(const ef_link_t *link) {
    static const uint8_t end = 0;
    ef_cobs_encode(link->out.bytes, link->out_size, ef_hal_write);
    ef_hal_write(&end, 1);
}

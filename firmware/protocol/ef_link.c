#include "ef_link.h"

#include "ef_cobs.h"
#include "ef_crc32.h"
#include "ef_hal.h"

/* HELLO of version 1 of the protocol, with its CRC-16: 1, a sequence number, 1 and two bytes. */
#define OLD_HELLO_SIZE 5u

/* The answer, as a host of version 1 reads it: an error to its first request, "the board speaks
 * version 2". It takes that as one to each HELLO that it repeats, too. */
static const uint8_t old_refusal[] = {0, 7, 0xFF, 1, 3, 2, 0x42, 0x8D, 0};

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
        const uint8_t *in = link->in.bytes;
        if (ef_cobs_complete(&decoder)) {
            if (decoder.size >= EF_HEADER + EF_CRC_SIZE &&
                ef_crc32(in, decoder.size) == EF_CRC32_RESIDUE) {
                return decoder.size - EF_CRC_SIZE;
            }
            if (decoder.size == OLD_HELLO_SIZE && in[0] == 1 && in[2] == 1) {
                ef_hal_write(old_refusal, sizeof old_refusal);
            }
        }
        link->errors++;
    }
}

void ef_link_send(ef_frame_t *frame, size_t size) {
    static const uint8_t end = 0;
    uint32_t crc = ef_crc32(frame->bytes, size);
    for (size_t i = 0; i < EF_CRC_SIZE; i++) {
        frame->bytes[size + i] = (uint8_t)(crc & 0xFFu);
        crc >>= 8;
    }
    ef_hal_write(&end, 1); /* what a damaged frame left over goes with it */
    ef_cobs_encode(frame->bytes, size + EF_CRC_SIZE, ef_hal_write);
    ef_hal_write(&end, 1);
}

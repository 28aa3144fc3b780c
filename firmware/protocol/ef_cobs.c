#include "ef_cobs.h"

#define LONGEST_RUN 254u

void ef_cobs_encode(const uint8_t *data, size_t size,
                    void (*write)(const uint8_t *piece, size_t size)) {
    for (;;) {
        size_t run = 0;
        while (run < LONGEST_RUN && run < size && data[run] != 0) {
            run++;
        }
        uint8_t code = (uint8_t)(run + 1);
        write(&code, 1);
        write(data, run);
        data += run;
        size -= run;
        if (size == 0) {
            return;
        }
        if (run < LONGEST_RUN) {
            /* this zero is implied by the code; data that ends with it takes one more code */
            data++;
            size--;
        }
    }
}

void ef_cobs_start(ef_cobs_decoder_t *decoder) {
    *decoder = (ef_cobs_decoder_t){0};
}

void ef_cobs_feed(ef_cobs_decoder_t *decoder, uint8_t byte, uint8_t *buffer, size_t capacity) {
    bool decoded = decoder->zero;
    if (decoder->left > 0) {
        decoder->left--;
        decoded = true;
    } else {
        decoder->left = (uint8_t)(byte - 1);
        decoder->zero = byte <= LONGEST_RUN;
        byte = 0;
    }
    if (decoded && decoder->size >= capacity) {
        decoder->bad = true;
    } else if (decoded) {
        buffer[decoder->size++] = byte;
    }
}

bool ef_cobs_complete(const ef_cobs_decoder_t *decoder) {
    return !decoder->bad && decoder->left == 0;
}

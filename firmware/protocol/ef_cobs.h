/* Consistent Overhead Byte Stuffing: data without zero bytes, so that a zero can end a frame.
 * S. Cheshire and M. Baker, IEEE/ACM Transactions on Networking 7(2), 1999.
 * Both directions stream, so that no buffer for encoded data is needed. */
#ifndef EF_COBS_H
#define EF_COBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes the code of `data` piece by piece; the ending zero is the caller's. */
void ef_cobs_encode(const uint8_t *data, size_t size,
                    void (*write)(const uint8_t *piece, size_t size));

typedef struct {
    size_t size;  /* bytes decoded so far */
    uint8_t left; /* data bytes until the next code byte */
    bool zero;    /* a zero precedes the next data */
    bool bad;     /* more data than the buffer holds */
} ef_cobs_decoder_t;

void ef_cobs_start(ef_cobs_decoder_t *decoder);

/* Takes the next byte of a frame, which must not be zero. */
void ef_cobs_feed(ef_cobs_decoder_t *decoder, uint8_t byte, uint8_t *buffer, size_t capacity);

/* True when the bytes since ef_cobs_start() are a whole code. */
bool ef_cobs_complete(const ef_cobs_decoder_t *decoder);

#endif

/* Frames over the UART: a zero, COBS(payload, CRC-32), a zero; see docs/protocol.md. */
#ifndef EF_LINK_H
#define EF_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest payload in bytes, its header included. */
#ifndef EF_FRAME_MAX
#define EF_FRAME_MAX 512
#endif
#define EF_CRC_SIZE 4

/* Of a payload: the session in words[0], then a byte of type and one of sequence. */
#define EF_HEADER 6
#define EF_TYPE 4
#define EF_SEQUENCE 5

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "samples are used in place: the protocol needs a little-endian core"
#endif

typedef union {
    uint8_t bytes[EF_FRAME_MAX + EF_CRC_SIZE];
    int16_t samples[(EF_FRAME_MAX + EF_CRC_SIZE) / 2];
    uint32_t words[(EF_FRAME_MAX + EF_CRC_SIZE) / 4];
} ef_frame_t;

typedef struct {
    uint32_t errors; /* frames dropped: wrong CRC, broken code, too long */
    size_t out_size; /* bytes of the payload in out */
    ef_frame_t out;  /* kept after sending, to be sent again */
    ef_frame_t in;
} ef_link_t;

/* Waits for a frame in link->in. Returns the size of its payload, at least EF_HEADER; 0 when the
 * input ended (stdio boards only). */
size_t ef_link_receive(ef_link_t *link);

/* Sends a payload, and writes its CRC behind it. */
void ef_link_send(ef_frame_t *frame, size_t size);

#endif

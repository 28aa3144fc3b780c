/* Frames over the UART: COBS(payload, CRC-16) and a zero; see docs/protocol.md. */
#ifndef EF_LINK_H
#define EF_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest payload in bytes, type and sequence number included. */
#ifndef EF_FRAME_MAX
#define EF_FRAME_MAX 512
#endif
#define EF_CRC_SIZE 2

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "samples are used in place: the protocol needs a little-endian core"
#endif

typedef union {
    uint8_t bytes[EF_FRAME_MAX + EF_CRC_SIZE];
    int16_t samples[(EF_FRAME_MAX + EF_CRC_SIZE) / 2];
    uint32_t align;
} ef_frame_t;

typedef struct {
    uint32_t errors; /* frames dropped: wrong CRC, broken code, too long */
    size_t out_size; /* bytes in out; 0: nothing to send again */
    ef_frame_t out;  /* kept after sending, to be sent again */
    ef_frame_t in;
} ef_link_t;

/* Waits for a frame in link->in. Returns its size without the CRC, at least 2; 0 when the input
 * ended (stdio boards only). */
size_t ef_link_receive(ef_link_t *link);

/* Appends the CRC to link->out, which link->out_size then counts too, and sends it. */
void ef_link_send(ef_link_t *link);

void ef_link_send_again(const ef_link_t *link);

#endif

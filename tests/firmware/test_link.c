#include "ef_link.h"

#include <string.h>

#include "check.h"
#include "ef_crc32.h"
#include "ef_hal.h"

/* The UART of this test: what is read, what was written. */
static uint8_t input[4096], output[4096];
static size_t input_size, input_at, output_size;
static ef_link_t link;

int ef_hal_getc(void) {
    return input_at < input_size ? input[input_at++] : -1;
}

void ef_hal_write(const uint8_t *data, size_t size) {
    memcpy(output + output_size, data, size);
    output_size += size;
}

static void start(void) {
    memset(&link, 0, sizeof link);
    input_size = input_at = output_size = 0;
}

static void give(const void *bytes, size_t size) {
    memcpy(input + input_size, bytes, size);
    input_size += size;
}

static void send(const void *payload, size_t size) {
    memcpy(link.out.bytes, payload, size);
    ef_link_send(&link.out, size);
}

/* HELLO of docs/protocol.md. */
static const uint8_t hello[] = {0x0d, 0x0c, 0x0b, 0x0a, 1, 1, 2};
static const uint8_t hello_frame[] = {0, 0x0c, 0x0d, 0x0c, 0x0b, 0x0a, 1,
                                      1, 2,    0xea, 0x95, 0xc3, 0x65, 0};

/* CRC-32 as other programs compute it, bit by bit and for known texts. */
static void crc_is_the_standard_one(void) {
    uint8_t bytes[256];
    for (unsigned i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    CHECK_EQUAL(ef_crc32(bytes, 0), 0);
    CHECK_EQUAL(ef_crc32(bytes, 1), 0xd202ef8du);
    CHECK_EQUAL(ef_crc32(bytes, 256), 0x29058c73u);
    CHECK_EQUAL(ef_crc32((const uint8_t *)"A", 1), 0xd3d99e8bu);
    CHECK_EQUAL(ef_crc32((const uint8_t *)"123456789", 9), 0xcbf43926u);
    uint32_t crc = 0xffffffffu;
    for (unsigned i = 0; i < 256; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1u ? 0xedb88320u : 0u);
        CHECK_EQUAL(ef_crc32(bytes, i + 1), (uint32_t)~crc);
    }
}

/* Both directions, byte by byte as documented. */
static void the_documented_frame_is_sent_and_received(void) {
    start();
    send(hello, sizeof hello);
    CHECK_EQUAL(output_size, sizeof hello_frame);
    CHECK_EQUAL(memcmp(output, hello_frame, sizeof hello_frame), 0);
    give(hello_frame, sizeof hello_frame);
    CHECK_EQUAL(ef_link_receive(&link), sizeof hello);
    CHECK_EQUAL(memcmp(link.in.bytes, hello, sizeof hello), 0);
    CHECK_EQUAL(ef_link_receive(&link), 0); /* the end of the input */
}

/* A host that missed a reply gets the same bytes, CRC included once. */
static void a_reply_is_sent_again_unchanged(void) {
    start();
    send(hello, sizeof hello);
    const size_t size = output_size;
    ef_link_send(&link.out, sizeof hello);
    CHECK_EQUAL(output_size, 2 * size);
    CHECK_EQUAL(memcmp(output, output + size, size), 0);
}

/* A host of version 1 asks with a CRC-16: it is told the version, as a frame that it reads. */
static void a_host_of_version_1_is_answered_in_its_way(void) {
    static const uint8_t asks[] = {6, 1, 4, 1, 0xbc, 0xd8, 0, 6, 9, 4, 1, 0xbc, 0xd8, 0};
    static const uint8_t answer[] = {0, 7, 0xff, 1, 3, 2, 0x42, 0x8d, 0};
    start();
    give(asks, sizeof asks);
    CHECK_EQUAL(ef_link_receive(&link), 0);
    CHECK_EQUAL(output_size, sizeof answer);
    CHECK_EQUAL(memcmp(output, answer, sizeof answer), 0);
}

/* What is left of a frame whose end was lost does not damage the next one that is sent. */
static void a_frame_begins_with_a_zero(void) {
    start();
    send(hello, sizeof hello);
    output_size -= 3;
    send(hello, sizeof hello);
    give(output, output_size);
    CHECK_EQUAL(ef_link_receive(&link), sizeof hello);
    CHECK_EQUAL(link.errors, 1);
}

/* Each bit that flips on the line is noticed and counted, and the next frame is received. */
static void broken_frames_are_dropped_and_counted(void) {
    for (unsigned bit = 8; bit < 8 * (sizeof hello_frame - 1); bit++) {
        uint8_t broken[sizeof hello_frame];
        memcpy(broken, hello_frame, sizeof broken);
        broken[bit / 8] = (uint8_t)(broken[bit / 8] ^ 1u << bit % 8);
        start();
        give(broken, sizeof broken);
        give(hello_frame, sizeof hello_frame);
        CHECK_EQUAL(ef_link_receive(&link), sizeof hello);
        CHECK(link.errors >= 1);
        CHECK_EQUAL(ef_link_receive(&link), 0);
    }
}

/* Zeros alone are no frame, and no error. */
static void zeros_between_frames_do_nothing(void) {
    static const uint8_t zeros[5];
    start();
    give(zeros, sizeof zeros);
    give(hello_frame, sizeof hello_frame);
    CHECK_EQUAL(ef_link_receive(&link), sizeof hello);
    CHECK_EQUAL(link.errors, 0);
}

/* A payload that is too short for its header has a right CRC and is refused. */
static void a_payload_without_its_header_is_refused(void) {
    start();
    send(hello, EF_HEADER - 1);
    give(output, output_size);
    CHECK_EQUAL(ef_link_receive(&link), 0);
    CHECK_EQUAL(link.errors, 1);
}

/* The longest payload fits, one byte more does not, and nothing is written behind the buffer. */
static void the_longest_frame_fits(void) {
    uint8_t payload[EF_FRAME_MAX];
    for (unsigned i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)draw();
    start();
    send(payload, sizeof payload);
    give(output, output_size);
    CHECK_EQUAL(ef_link_receive(&link), sizeof payload);
    CHECK_EQUAL(memcmp(link.in.bytes, payload, sizeof payload), 0);
    uint8_t one[] = {2, 7};
    for (unsigned i = 0; i < EF_FRAME_MAX + EF_CRC_SIZE + 1; i++)
        give(one, sizeof one);
    give("", 1);
    give(hello_frame, sizeof hello_frame);
    CHECK_EQUAL(ef_link_receive(&link), sizeof hello);
    CHECK_EQUAL(link.errors, 1);
}

int main(void) {
    crc_is_the_standard_one();
    the_documented_frame_is_sent_and_received();
    a_reply_is_sent_again_unchanged();
    a_host_of_version_1_is_answered_in_its_way();
    a_frame_begins_with_a_zero();
    broken_frames_are_dropped_and_counted();
    zeros_between_frames_do_nothing();
    a_payload_without_its_header_is_refused();
    the_longest_frame_fits();
    return check_result();
}

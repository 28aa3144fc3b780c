#include "ef_link.h"

#include <string.h>

#include "check.h"
#include "ef_crc16.h"
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
    link.out_size = size;
    ef_link_send(&link);
}

/* HELLO of docs/protocol.md. */
static const uint8_t hello[] = {1, 1, 1}, hello_frame[] = {6, 1, 1, 1, 0xbc, 0xd8, 0};

/* CRC-16/CCITT-FALSE as other programs compute it, bit by bit and for known texts. */
static void crc_is_the_standard_one(void) {
    uint8_t bytes[256];
    for (unsigned i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    CHECK_EQUAL(ef_crc16(bytes, 0), 0xffff);
    CHECK_EQUAL(ef_crc16(bytes, 1), 0xe1f0);
    CHECK_EQUAL(ef_crc16(bytes, 256), 0x3fbd);
    CHECK_EQUAL(ef_crc16((const uint8_t *)"A", 1), 0xb915);
    CHECK_EQUAL(ef_crc16((const uint8_t *)"123456789", 9), 0x29b1);
    unsigned crc = 0xffff;
    for (unsigned i = 0; i < 256; i++) {
        crc ^= (unsigned)bytes[i] << 8;
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (crc << 1 ^ (crc & 0x8000u ? 0x1021u : 0u)) & 0xffffu;
        CHECK_EQUAL(ef_crc16(bytes, i + 1), crc);
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
    ef_link_send_again(&link);
    CHECK_EQUAL(output_size, 2 * size);
    CHECK_EQUAL(memcmp(output, output + size, size), 0);
}

/* Each bit that flips on the line is noticed and counted, and the next frame is received. */
static void broken_frames_are_dropped_and_counted(void) {
    for (unsigned bit = 0; bit < 8 * (sizeof hello_frame - 1); bit++) {
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

/* A payload that is too short for a type and a number has a right CRC and is refused. */
static void a_payload_of_one_byte_is_refused(void) {
    start();
    send(hello, 1);
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
    broken_frames_are_dropped_and_counted();
    zeros_between_frames_do_nothing();
    a_payload_of_one_byte_is_refused();
    the_longest_frame_fits();
    return check_result();
}

#include "ef_cobs.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { LARGEST = 700, ROOM = LARGEST + 8 };

static uint8_t code[ROOM];
static size_t code_size;

static void collect(const uint8_t *piece, size_t size) {
    memcpy(code + code_size, piece, size);
    code_size += size;
}

static void encode(const uint8_t *data, size_t size) {
    code_size = 0;
    ef_cobs_encode(data, size, collect);
}

/* Decodes the first `size` bytes of the code into a buffer that ends with its capacity. */
static ef_cobs_decoder_t decode(size_t size, uint8_t *buffer, size_t capacity) {
    ef_cobs_decoder_t decoder;
    ef_cobs_start(&decoder);
    for (size_t i = 0; i < size; i++)
        ef_cobs_feed(&decoder, code[i], buffer, capacity);
    return decoder;
}

static void check_code(const uint8_t *data, size_t size, const uint8_t *expected, size_t count) {
    encode(data, size);
    CHECK_EQUAL(code_size, count);
    CHECK_EQUAL(memcmp(code, expected, count), 0);
}

/* The examples of the paper: both ends would agree on a code of their own. */
static void codes_are_the_published_ones(void) {
    check_code((const uint8_t[]){0}, 1, (const uint8_t[]){1, 1}, 2);
    check_code((const uint8_t[]){0, 0}, 2, (const uint8_t[]){1, 1, 1}, 3);
    check_code((const uint8_t[]){0x11, 0x22, 0, 0x33}, 4, (const uint8_t[]){3, 0x11, 0x22, 2, 0x33},
               5);
    check_code((const uint8_t[]){0x11, 0, 0, 0}, 4, (const uint8_t[]){2, 0x11, 1, 1, 1}, 5);
    uint8_t run[256] = {0}, expected[257] = {255};
    for (unsigned i = 1; i < 256; i++)
        run[i - 1] = expected[i] = (uint8_t)i;
    check_code(run, 254, expected, 255);
    expected[255] = 2;
    expected[256] = 255;
    check_code(run, 255, expected, 257);
}

/* Of every size, with zeros everywhere, nowhere, and around the end of a run of 254. */
static void data_come_back_from_a_code_without_zeros(void) {
    static const unsigned zero_every[] = {1, 3, 254, 255, LARGEST + 1};
    for (unsigned kind = 0; kind < 5; kind++) {
        for (size_t size = 0; size <= LARGEST; size++) {
            uint8_t data[LARGEST + 1];
            for (size_t i = 0; i < size; i++)
                data[i] = (i + 1) % zero_every[kind] ? (uint8_t)(i % 255 + 1) : 0;
            encode(data, size);
            CHECK(memchr(code, 0, code_size) == NULL);
            CHECK(code_size <= size + 1 + size / 254);
            uint8_t *buffer = malloc(size + 1);
            const ef_cobs_decoder_t decoder = decode(code_size, buffer, size);
            CHECK(ef_cobs_complete(&decoder));
            CHECK_EQUAL(decoder.size, size);
            CHECK_EQUAL(memcmp(buffer, data, size), 0);
            free(buffer);
        }
    }
}

/* A frame that was cut off is not taken for a whole one. */
static void a_cut_code_is_incomplete_or_shorter(void) {
    const uint8_t data[] = {1, 2, 3, 0, 4, 5, 0, 0, 6};
    encode(data, sizeof data);
    for (size_t size = 0; size < code_size; size++) {
        uint8_t buffer[sizeof data];
        const ef_cobs_decoder_t decoder = decode(size, buffer, sizeof buffer);
        CHECK(decoder.size < sizeof data);
        CHECK(!ef_cobs_complete(&decoder) || memcmp(buffer, data, decoder.size) == 0);
    }
}

/* Data beyond the buffer: the sanitizer sees a byte that is written behind it. */
static void a_long_code_stays_within_the_buffer(void) {
    uint8_t data[300];
    memset(data, 7, sizeof data);
    encode(data, sizeof data);
    for (size_t capacity = 0; capacity < sizeof data; capacity += 13) {
        uint8_t *buffer = malloc(capacity + 1);
        const ef_cobs_decoder_t decoder = decode(code_size, buffer, capacity);
        CHECK(!ef_cobs_complete(&decoder));
        CHECK_EQUAL(decoder.size, capacity);
        free(buffer);
    }
}

/* Line noise: any bytes, none of them zero. */
static void noise_stays_within_the_buffer(void) {
    for (unsigned run = 0; run < 2000; run++) {
        code_size = draw() % 64;
        for (size_t i = 0; i < code_size; i++)
            code[i] = (uint8_t)(draw() % 255 + 1);
        uint8_t buffer[20];
        const ef_cobs_decoder_t decoder = decode(code_size, buffer, sizeof buffer);
        CHECK(decoder.size <= sizeof buffer && decoder.size <= code_size);
    }
}

int main(void) {
    codes_are_the_published_ones();
    data_come_back_from_a_code_without_zeros();
    a_cut_code_is_incomplete_or_shorter();
    a_long_code_stays_within_the_buffer();
    noise_stays_within_the_buffer();
    return check_result();
}

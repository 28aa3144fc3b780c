/* Feeds the firmware's main(), here firmware_main(), with streams of bytes: fuzz FIRST COUNT. Each
 * number makes one stream: text, with EF_MLPERF also commands of that protocol, then frames of the
 * firmware's own encoder, of which some are as documented and others have any content, then damage
 * to the whole. Prints what came of them; the
 * sanitizers stop at the first fault, behind the number of its stream. */
#include "ef_cobs.h"
#include "ef_hal.h"
#include "ef_link.h"
#include "ef_mlperf.h"
#include "model.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_MAX 4096

int firmware_main(void);
void __asan_on_error(void);

static unsigned long long number, answers, written, commas;
static uint8_t stream[STREAM_MAX];
static size_t stream_size, stream_at;
static bool building;
static ef_link_t sender;

/* The generator by G. Marsaglia, "Xorshift RNGs", 2003. */
static uint64_t random_state;

static uint32_t draw(uint32_t below) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % below;
}

static void seed(void) {
    random_state = (number + 1) * 0x9E3779B97F4A7C15u;
    for (int i = 0; i < 4; i++) {
        (void)draw(2);
    }
}

void __asan_on_error(void) {
    fprintf(stderr, "fuzz: stream %llu\n", number);
}

/* ---- the board --------------------------------------------------------------------------- */

void ef_hal_init(void) {
}

int ef_hal_getc(void) {
    return stream_at < stream_size ? stream[stream_at++] : -1;
}

static void add(const void *bytes, size_t size) {
    if (size > STREAM_MAX - stream_size) {
        size = STREAM_MAX - stream_size;
    }
    if (size > 0) {
        memcpy(stream + stream_size, bytes, size);
    }
    stream_size += size;
}

void ef_hal_write(const uint8_t *data, size_t size) {
    if (building) {
        add(data, size);
        return;
    }
    for (size_t i = 0; i < size; i++) { /* each byte is read */
        answers += data[i] == 0;
        commas += data[i] == ','; /* of results alone */
    }
    written += size;
}

/* What a damaged command asks for may take hours: such a stream ends here. */
#define STEPS_MAX 100000u
static jmp_buf too_long;
static uint32_t steps;

uint32_t ef_hal_cycles(void) {
    if (++steps > STEPS_MAX) {
        longjmp(too_long, 1);
    }
    return (uint32_t)written;
}

uint32_t ef_hal_cycles_hz(void) {
    return number % 2 != 0 ? 1000000u : 0u;
}

uint32_t ef_hal_stack_used(void) {
    return 0;
}

/* ---- streams ----------------------------------------------------------------------------- */

#ifdef EF_MLPERF
/* A window, whole or not, and what is done with it. */
static void add_mlperf(void) {
    static const char *const lines[] = {
        "infer 2 1%", "infer%",      "infer 1 0%", "results%", "db print%", "name%",
        "profile%",   "timestamp%",  "help%",      "db%",      "db load%",  "infer x%",
        "db load 0%", "db load 99%", "db f%",      "db 0g%",   "%",         "db  load  4  %"};
    char text[100];
    uint32_t bytes = 2 * MODEL_WINDOW * MODEL_INPUTS;
    bytes = draw(4) == 0 ? draw(2 * bytes) : bytes;
    add(text, (size_t)snprintf(text, sizeof text, "db load %lu%%", (unsigned long)bytes));
    while (bytes > 0) {
        uint32_t some = 1 + draw(38);
        some = some < bytes || draw(8) == 0 ? some : bytes;
        add("db ", 3);
        for (uint32_t i = 0; i < 2 * some; i++) {
            add(&"0123456789abcdefABCDEF"[draw(22)], 1);
        }
        add("%", 1);
        bytes -= some < bytes ? some : bytes;
    }
    for (uint32_t left = draw(5); left > 0; left--) {
        const char *line = lines[draw(sizeof lines / sizeof *lines)];
        add(line, strlen(line));
    }
}
#endif

static void add_text(void) {
    static const char *const lines[] = {"frame\n", "frame\r\n", "info\r", "help%", "reset\n", "\n"};
    for (uint32_t left = draw(3); left > 0; left--) {
        const char *line = lines[draw(6)];
        add(line, strlen(line));
    }
    if (draw(8) == 0) { /* any line, longer than what is kept, too */
        for (uint32_t left = draw(200); left > 0; left--) {
            uint8_t byte = (uint8_t)draw(256);
            add(&byte, 1);
        }
    }
    if (draw(8) != 0) {
        add("\nframe\n", 7);
    }
}

/* Sends a payload of `size` bytes, the header included. */
static void send_payload(size_t size) {
    ef_link_send(&sender.out, size);
}

enum { TYPE = EF_TYPE, SEQUENCE = EF_SEQUENCE, BODY = EF_HEADER };

static void add_frame(uint8_t sequence) {
    uint8_t *payload = sender.out.bytes;
    uint32_t kind = draw(16);
    for (size_t i = 0; i < EF_FRAME_MAX; i++) {
        payload[i] = (uint8_t)draw(256);
    }
    if (kind == 0 && draw(4) == 0) { /* HELLO of version 1 of the protocol */
        static const uint8_t hello[] = {6, 1, 1, 1, 0xbc, 0xd8, 0};
        add(hello, sizeof hello);
        return;
    }
    if (kind == 0) { /* no CRC, any length */
        static uint8_t longer[2 * EF_FRAME_MAX];
        size_t size = draw(sizeof longer);
        for (size_t i = 0; i < size; i++) {
            longer[i] = (uint8_t)(draw(3) == 0 ? 0 : draw(256));
        }
        ef_cobs_encode(longer, size, ef_hal_write);
        add("", 1);
        return;
    }
    if (kind == 1) { /* right in its CRC alone */
        send_payload(1 + draw(EF_FRAME_MAX));
        return;
    }
    /* of one session, mostly, and of types that there are */
    memset(payload, draw(32) == 0 ? 2 : 1, TYPE);
    payload[TYPE] = (uint8_t)(draw(32) == 0 ? draw(256) : kind < 4 ? 1 + draw(4) : 2);
    payload[SEQUENCE] = sequence;
    size_t size = BODY + 1;
    if (payload[TYPE] == 1) {
        payload[BODY] = (uint8_t)(draw(8) == 0 ? draw(256) : 1 + draw(2));
    } else if (payload[TYPE] == 2) {
        size_t most = (EF_FRAME_MAX - BODY - 2) / (2 * MODEL_INPUTS);
        size_t count = draw(4) == 0 ? draw(256) : draw(4) == 0 ? most : draw((uint32_t)most);
        size = BODY + 2 + 2 * MODEL_INPUTS * (count < most ? count : most);
        payload[BODY + 1] = (uint8_t)count;
    }
    if (draw(16) == 0) {
        size = 1 + draw(draw(2) == 0 ? BODY + 4 : EF_FRAME_MAX);
    }
    send_payload(size);
}

static size_t piece(size_t at) {
    size_t left = stream_size - at;
    return left == 0 ? 0 : draw((uint32_t)(left < 32 ? left : 32));
}

static void damage(void) {
    for (uint32_t left = draw(3) == 0 ? 0 : draw(5); left > 0 && stream_size > 0; left--) {
        size_t at = draw((uint32_t)stream_size), size = piece(at);
        uint8_t copy[32];
        memcpy(copy, stream + at, size);
        switch (draw(6)) {
        case 0:
            stream[at] = (uint8_t)(stream[at] ^ 1u << draw(8));
            break;
        case 1:
            stream[at] = (uint8_t)draw(256);
            break;
        case 2: /* lost */
            memmove(stream + at, stream + at + size, stream_size - at - size);
            stream_size -= size;
            break;
        case 3: /* again, somewhere */
            at = draw((uint32_t)stream_size);
            memcpy(stream + at, copy, size < stream_size - at ? size : stream_size - at);
            break;
        case 4:
            memset(stream + at, draw(2) == 0 ? 0 : 255, size);
            break;
        default:
            stream_size = at;
        }
    }
}

static void build(void) {
    seed();
    stream_size = stream_at = 0;
    building = true;
#ifdef EF_MLPERF
    add_mlperf();
#endif
    add_text();
    uint8_t sequence = (uint8_t)draw(256);
    for (uint32_t left = draw(5); left > 0; left--) {
        add_frame(sequence);
        sequence = (uint8_t)(sequence + (draw(8) != 0));
    }
    damage();
    building = false;
}

/* False if the firmware ended before its input. */
static bool run(void) {
    steps = 0;
    if (setjmp(too_long) != 0) {
        return true;
    }
    (void)firmware_main();
    return stream_at == stream_size;
}

int main(int count, char **arguments) {
    if (count != 3) {
        return 2;
    }
    unsigned long long first = strtoull(arguments[1], NULL, 10);
    unsigned long long end = first + strtoull(arguments[2], NULL, 10), read = 0;
    for (number = first; number < end; number++) {
        build();
        read += stream_size;
        if (!run()) {
            fprintf(stderr, "fuzz: stream %llu: the firmware ended before its input\n", number);
            return 1;
        }
    }
    printf("%llu streams %llu bytes %llu answers %llu written %llu commas\n", end - first, read,
           answers, written, commas);
    return 0;
}

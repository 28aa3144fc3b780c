/* The firmware: text commands for people, then frames for the host (docs/protocol.md). */
#include "ef_hal.h"
#include "ef_link.h"
#include "ef_profile.h"
#include "model.h"

#include <stdbool.h>
#include <string.h>

#ifndef EF_BOARD_NAME
#define EF_BOARD_NAME "unknown"
#endif
#ifndef EF_VERSION
#define EF_VERSION "unknown"
#endif

#define PROTOCOL_VERSION 1u

enum { HELLO = 0x01, STEP = 0x02, STATS = 0x03, BYE = 0x04, REPLY = 0x80, ERROR = 0xFF };
enum { UNKNOWN_TYPE = 1, BAD_LENGTH = 2, WRONG_VERSION = 3, TOO_MANY_STEPS = 4 };

#define STEP_HEADER 4 /* type, sequence, flags, count; of a reply: type, sequence, count, 0 */
#define STEP_RESET 1u
#define STEP_FIT(sample) ((EF_FRAME_MAX - STEP_HEADER) / (sample))

#if STEP_FIT(2 * MODEL_INPUTS) < 1 || STEP_FIT(2 * MODEL_OUTPUTS + 4) < 1
#error "not one step fits in a frame: build with a larger EF_FRAME_MAX"
#endif
#if EF_FRAME_MAX < 160
#error "the reply to HELLO does not fit in a frame: build with a larger EF_FRAME_MAX"
#endif
#if MODEL_INPUTS > 65535 || MODEL_OUTPUTS > 65535 || MODEL_WINDOW > 65535
#error "the protocol counts inputs, outputs and window in 16 bits"
#endif

static const uint8_t model_hash[8] = MODEL_HASH;
static model_t model;
static ef_link_t link;
static uint32_t steps_run;

/* ---- text ---------------------------------------------------------------------------------- */

#define LINE_LENGTH 80

static void print(const char *text) {
    ef_hal_write((const uint8_t *)text, strlen(text));
}

static void print_number(const char *name, uint32_t value) {
    char digits[11];
    size_t i = sizeof digits - 1;
    digits[i] = '\0';
    do {
        digits[--i] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    print(name);
    print(" ");
    print(digits + i);
    print("\r\n");
}

static void print_hash(void) {
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof model_hash; i++) {
        const char pair[3] = {hex[model_hash[i] >> 4], hex[model_hash[i] & 15], '\0'};
        print(pair);
    }
}

static void print_greeting(void) {
    print("EdgeFlow " EF_VERSION " " EF_BOARD_NAME " model ");
    print_hash();
    print("\r\n");
}

/* The most steps whose samples and results fit in a frame. */
static uint32_t max_steps(void) {
    uint32_t in = STEP_FIT(2 * MODEL_INPUTS);
    uint32_t out = STEP_FIT(2 * MODEL_OUTPUTS + (ef_hal_cycles_hz() != 0 ? 4u : 0u));
    uint32_t steps = in < out ? in : out;
    return steps < 255 ? steps : 255;
}

static void print_info(void) {
    print("board " EF_BOARD_NAME "\r\nfirmware " EF_VERSION "\r\nmodel ");
    print_hash();
    print("\r\n");
    print_number("inputs", MODEL_INPUTS);
    print_number("outputs", MODEL_OUTPUTS);
    print_number("window", MODEL_WINDOW);
    print_number("max_steps", max_steps());
    print_number("cycles_hz", ef_hal_cycles_hz());
    print_number("stack_used", ef_hal_stack_used());
}

/* Returns true when the command was `frame`. */
static bool run_command(const char *line) {
    if (strcmp(line, "frame") == 0) {
        /* the zero ends the text for a host that already listens for frames */
        static const uint8_t end = 0;
        print("framed mode\r\n");
        ef_hal_write(&end, 1);
        return true;
    }
    if (strcmp(line, "help") == 0) {
        print("help   this list\r\n"
              "info   model, board and memory\r\n"
              "reset  clear the model's state\r\n"
              "frame  binary frames until the host says BYE\r\n");
    } else if (strcmp(line, "info") == 0) {
        print_info();
    } else if (strcmp(line, "reset") == 0) {
        model_reset(&model);
        print("ok\r\n");
    } else {
        print("unknown command: ");
        print(line);
        print(" (try 'help')\r\n");
    }
    return false;
}

/* Reads and runs commands until `frame`. False when the input ended. */
static bool serve_text(void) {
    char line[LINE_LENGTH + 1];
    size_t size = 0;
    for (;;) {
        int byte = ef_hal_getc();
        if (byte < 0) {
            return false;
        }
        /* '%' ends the commands of the MLPerf Tiny harness */
        bool end = byte == '\n' || byte == '\r' || byte == '%';
        if (end && size > 0) {
            line[size] = '\0';
            size = 0;
            if (run_command(line)) {
                return true;
            }
        } else if (byte >= ' ' && byte <= '~' && byte != '%' && size < LINE_LENGTH) {
            line[size++] = (char)byte;
        }
    }
}

/* ---- frames -------------------------------------------------------------------------------- */

static size_t put16(size_t at, uint32_t value) {
    link.out.bytes[at] = (uint8_t)(value & 0xFFu);
    link.out.bytes[at + 1] = (uint8_t)((value >> 8) & 0xFFu);
    return at + 2;
}

static size_t put32(size_t at, uint32_t value) {
    return put16(put16(at, value), value >> 16);
}

static size_t put_text(size_t at, const char *text) {
    size_t size = strlen(text);
    size = size < 63 ? size : 63;
    link.out.bytes[at] = (uint8_t)size;
    memcpy(link.out.bytes + at + 1, text, size);
    return at + 1 + size;
}

static size_t refuse(unsigned code, unsigned detail) {
    link.out.bytes[0] = ERROR;
    link.out.bytes[2] = (uint8_t)code;
    link.out.bytes[3] = (uint8_t)detail;
    return 4;
}

static size_t answer_hello(size_t size) {
    if (size < 3) {
        return refuse(BAD_LENGTH, HELLO);
    }
    if (link.in.bytes[2] != PROTOCOL_VERSION) {
        return refuse(WRONG_VERSION, PROTOCOL_VERSION);
    }
    /* a new host: the counters start again */
    link.errors = 0;
    steps_run = 0;
    size_t at = 2;
    link.out.bytes[at++] = PROTOCOL_VERSION;
    memcpy(link.out.bytes + at, model_hash, sizeof model_hash);
    at += sizeof model_hash;
    at = put16(at, MODEL_INPUTS);
    at = put16(at, MODEL_OUTPUTS);
    at = put16(at, MODEL_WINDOW);
    at = put16(at, max_steps());
    at = put32(at, ef_hal_cycles_hz());
    at = put_text(at, EF_BOARD_NAME);
    return put_text(at, EF_VERSION);
}

static uint32_t timed_step(const int16_t *x, int16_t *y) {
    uint32_t start = ef_hal_cycles();
#ifdef EF_PROFILE
    ef_profile_begin();
#endif
    model_step(&model, x, y);
#ifdef EF_PROFILE
    ef_profile_end();
#endif
    return ef_hal_cycles() - start;
}

static size_t answer_step(size_t size) {
    if (size < STEP_HEADER) {
        return refuse(BAD_LENGTH, STEP);
    }
    size_t count = link.in.bytes[3];
    if (count > max_steps()) {
        return refuse(TOO_MANY_STEPS, (unsigned)max_steps());
    }
    if (size != STEP_HEADER + 2 * MODEL_INPUTS * count) {
        return refuse(BAD_LENGTH, STEP);
    }
    if ((link.in.bytes[2] & STEP_RESET) != 0) {
        model_reset(&model);
    }
    link.out.bytes[2] = (uint8_t)count;
    link.out.bytes[3] = 0;
    const int16_t *x = link.in.samples + STEP_HEADER / 2;
    int16_t *y = link.out.samples + STEP_HEADER / 2;
    size_t at = STEP_HEADER + 2 * MODEL_OUTPUTS * count;
    for (size_t i = 0; i < count; i++) {
        uint32_t cycles = timed_step(x + i * MODEL_INPUTS, y + i * MODEL_OUTPUTS);
        if (ef_hal_cycles_hz() != 0) {
            at = put32(at, cycles);
        }
    }
    steps_run += (uint32_t)count;
    return at;
}

static size_t answer_stats(void) {
    size_t at = put32(2, ef_hal_stack_used());
    at = put32(at, steps_run);
    return put32(at, link.errors);
}

/* Serves frames until BYE. False when the input ended. */
static bool serve_frames(void) {
    size_t size;
    link.out_size = 0;
    while (ef_link_receive(&link, &size)) {
        unsigned type = link.in.bytes[0];
        uint8_t sequence = link.in.bytes[1];
        /* A host that missed a reply asks again: a step must not run twice. */
        if (type != HELLO && link.out_size > 0 && sequence == link.out.bytes[1]) {
            ef_link_send_again(&link);
            continue;
        }
        link.out.bytes[0] = (uint8_t)(type | REPLY);
        link.out.bytes[1] = sequence;
        size_t reply = 2;
        if (type == HELLO) {
            reply = answer_hello(size);
        } else if (type == STEP) {
            reply = answer_step(size);
        } else if (type == STATS) {
            reply = answer_stats();
        } else if (type != BYE) {
            reply = refuse(UNKNOWN_TYPE, type);
        }
        ef_link_send(&link, reply);
        if (type == HELLO) {
            link.out_size = 0; /* a new host counts anew */
        }
        if (type == BYE) {
            return true;
        }
    }
    return false;
}

int main(void) {
    ef_hal_init();
    model_init(&model);
    model_reset(&model);
    print_greeting();
    while (serve_text() && serve_frames()) {
    }
    return 0;
}

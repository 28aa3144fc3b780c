/* The firmware: text commands for a terminal, then frames for the host (docs/protocol.md). */
#include "ef_hal.h"
#include "ef_link.h"
#include "ef_profile.h"
#include "model.h"

#include <stdbool.h>

/* The code is written for size: it runs between steps, never within. */

#ifndef EF_BOARD_NAME
#define EF_BOARD_NAME "unknown"
#endif
#ifndef EF_VERSION
#define EF_VERSION "unknown"
#endif

#define PROTOCOL_VERSION 1u

#ifdef __GNUC__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE
#endif

enum { HELLO = 0x01, STEP = 0x02, STATS = 0x03, BYE = 0x04, REPLY = 0x80, ERROR = 0xFF };
enum { UNKNOWN_TYPE = 1, BAD_LENGTH = 2, WRONG_VERSION = 3, TOO_MANY_STEPS = 4 };

#define HEADER 2      /* type, sequence */
#define STEP_HEADER 4 /* and flags, count; of a reply: count, 0 */
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

#define U16(value) {(value) & 0xFFu, (value) >> 8}

/* The part of the reply to HELLO that never changes. */
static const struct {
    uint8_t version, hash[8], inputs[2], outputs[2], window[2];
} identity = {PROTOCOL_VERSION, MODEL_HASH, U16(MODEL_INPUTS), U16(MODEL_OUTPUTS),
              U16(MODEL_WINDOW)};

static model_t model;
static ef_link_t link;
static uint32_t steps_run;

/* ---- text ---------------------------------------------------------------------------------- */

#define LINE_LENGTH 80

static void print(const char *text) {
    for (; *text != '\0'; text++) {
        ef_hal_write((const uint8_t *)text, 1);
    }
}

static void print_number(const char *name, uint32_t value) {
    char digits[11];
    char *at = digits + sizeof digits - 1;
    *at = '\0';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    print(name);
    print(at);
    print("\r\n");
}

static void print_model(void) {
    print("model ");
    for (size_t i = 0; i < 2 * sizeof identity.hash; i++) {
        unsigned pair = identity.hash[i / 2];
        unsigned digit = i % 2 != 0 ? pair & 15u : pair >> 4;
        uint8_t text = (uint8_t)"0123456789abcdef"[digit];
        ef_hal_write(&text, 1);
    }
    print("\r\n");
}

static bool equal(const char *a, const char *b) {
    while (*a == *b && *a != '\0') {
        a++;
        b++;
    }
    return *a == *b;
}

/* The most steps whose samples and results fit in a frame. */
static uint32_t max_steps(void) {
    uint32_t in = STEP_FIT(2 * MODEL_INPUTS);
    uint32_t out = STEP_FIT(2 * MODEL_OUTPUTS + (ef_hal_cycles_hz() != 0 ? 4u : 0u));
    uint32_t steps = in < out ? in : out;
    return steps < 255 ? steps : 255;
}

static void print_info(void) {
    print("board " EF_BOARD_NAME "\r\nfirmware " EF_VERSION "\r\n");
    print_model();
    print_number("inputs ", MODEL_INPUTS);
    print_number("outputs ", MODEL_OUTPUTS);
    print_number("window ", MODEL_WINDOW);
    print_number("max_steps ", max_steps());
    print_number("cycles_hz ", ef_hal_cycles_hz());
    print_number("stack_used ", ef_hal_stack_used());
}

/* Returns true when the command was `frame`. */
static bool run_command(const char *line) {
    if (equal(line, "frame")) {
        /* the zero ends the text for a host that already listens for frames */
        static const uint8_t end = 0;
        print("framed mode\r\n");
        ef_hal_write(&end, 1);
        return true;
    }
    if (equal(line, "help")) {
        print("help   this list\r\n"
              "info   model, board and memory\r\n"
              "reset  clear the model's state\r\n"
              "frame  binary frames until the host says BYE\r\n");
    } else if (equal(line, "info")) {
        print_info();
    } else if (equal(line, "reset")) {
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
    static char line[LINE_LENGTH + 1];
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

/* Appends the low bytes of a value to the reply. */
static void put(uint32_t value, size_t bytes) {
    for (; bytes > 0; bytes--) {
        link.out.bytes[link.out_size++] = (uint8_t)(value & 0xFFu);
        value >>= 8;
    }
}

static void put_bytes(const void *from, size_t size) {
    for (const uint8_t *byte = from; size > 0; size--) {
        put(*byte++, 1);
    }
}

static NOINLINE void refuse(unsigned code, unsigned detail) {
    link.out.bytes[0] = ERROR;
    put(code, 1);
    put(detail, 1);
}

#define TEXT_SIZE(text) (sizeof(text) - 1 < 63 ? sizeof(text) - 1 : 63)

static void answer_hello(size_t size) {
    if (size < 3) {
        refuse(BAD_LENGTH, HELLO);
        return;
    }
    if (link.in.bytes[2] != PROTOCOL_VERSION) {
        refuse(WRONG_VERSION, PROTOCOL_VERSION);
        return;
    }
    /* a new host: the counters start again */
    link.errors = 0;
    steps_run = 0;
    put_bytes(&identity, sizeof identity);
    put(max_steps(), 2);
    put(ef_hal_cycles_hz(), 4);
    put(TEXT_SIZE(EF_BOARD_NAME), 1);
    put_bytes(EF_BOARD_NAME, TEXT_SIZE(EF_BOARD_NAME));
    put(TEXT_SIZE(EF_VERSION), 1);
    put_bytes(EF_VERSION, TEXT_SIZE(EF_VERSION));
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

static void answer_step(size_t size) {
    if (size < STEP_HEADER) {
        refuse(BAD_LENGTH, STEP);
        return;
    }
    size_t count = link.in.bytes[3];
    if (count > max_steps()) {
        refuse(TOO_MANY_STEPS, (unsigned)max_steps());
        return;
    }
    if (size != STEP_HEADER + 2 * MODEL_INPUTS * count) {
        refuse(BAD_LENGTH, STEP);
        return;
    }
    if ((link.in.bytes[2] & STEP_RESET) != 0) {
        model_reset(&model);
    }
    put((uint32_t)count, 2);
    const int16_t *x = link.in.samples + STEP_HEADER / 2;
    int16_t *y = link.out.samples + STEP_HEADER / 2;
    link.out_size += 2 * MODEL_OUTPUTS * count;
    for (; count > 0; count--) {
        uint32_t cycles = timed_step(x, y);
        if (ef_hal_cycles_hz() != 0) {
            put(cycles, 4);
        }
        x += MODEL_INPUTS;
        y += MODEL_OUTPUTS;
        steps_run++;
    }
}

static void answer_stats(void) {
    put(ef_hal_stack_used(), 4);
    put(steps_run, 4);
    put(link.errors, 4);
}

/* Serves frames until BYE. False when the input ended. */
static bool serve_frames(void) {
    size_t size;
    link.out_size = 0;
    while ((size = ef_link_receive(&link)) > 0) {
        unsigned type = link.in.bytes[0];
        uint8_t sequence = link.in.bytes[1];
        /* A host that missed a reply asks again: a step must not run twice. */
        if (type != HELLO && link.out_size > 0 && sequence == link.out.bytes[1]) {
            ef_link_send_again(&link);
            continue;
        }
        link.out.bytes[0] = (uint8_t)(type | REPLY);
        link.out.bytes[1] = sequence;
        link.out_size = HEADER;
        if (type == HELLO) {
            answer_hello(size);
        } else if (type == STEP) {
            answer_step(size);
        } else if (type == STATS) {
            answer_stats();
        } else if (type != BYE) {
            refuse(UNKNOWN_TYPE, type);
        }
        ef_link_send(&link);
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
    print("EdgeFlow " EF_VERSION " " EF_BOARD_NAME " ");
    print_model();
    while (serve_text() && serve_frames()) {
    }
    return 0;
}

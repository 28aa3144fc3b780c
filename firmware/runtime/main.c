/* The firmware: text commands for a terminal, then frames for the host (docs/protocol.md). */
#include "ef_flash.h"
#include "ef_hal.h"
#include "ef_identity.h"
#include "ef_learning.h"
#include "ef_link.h"
#include "ef_mlperf.h"
#include "ef_profile.h"
#include "model.h"

#include <stdbool.h>

/* The code is written for size: it runs between steps, never within. */

#ifdef __GNUC__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE
#endif

enum { HELLO = 0x01, STEP = 0x02, STATS = 0x03, BYE = 0x04, REPLY = 0x80, ERROR = 0xFF };
enum { UNKNOWN_TYPE = 1, BAD_LENGTH = 2, WRONG_VERSION = 3, TOO_MANY_STEPS = 4, OTHER_SESSION = 5 };

#define STEP_HEADER 8 /* and flags, count; of a reply: count, 0 */
#define STEP_RESET 1u
#define STEP_FIT(sample) ((EF_FRAME_MAX - STEP_HEADER) / (sample))

#if STEP_FIT(2 * MODEL_INPUTS) < 1 || STEP_FIT(2 * MODEL_OUTPUTS + 4) < 1
#error "not one step fits in a frame: build with a larger EF_FRAME_MAX"
#endif
/* The reply to HELLO fits in a frame: its header, the identity, max_steps and cycles_hz. */
typedef char hello_fits[sizeof(ef_identity_t) <= EF_FRAME_MAX - EF_HEADER - 6 ? 1 : -1];
#ifdef MODEL_HOP /* windows overlap: two states, read in turn */
typedef model_hop_t state_t;
#define MODEL(function) model_hop_##function
#define FIRST_STATE model.states
#else
typedef model_t state_t;
#define MODEL(function) model_##function
#define FIRST_STATE (&model)
#endif
static state_t model;
static ef_link_t link;
static uint32_t steps_run;

/* ---- text ---------------------------------------------------------------------------------- */

#ifdef EF_MLPERF
#define LINE_LENGTH (EF_MLPERF_COMMAND + 1)
#else
#define LINE_LENGTH 80
#endif
typedef char line_fits[LINE_LENGTH < EF_FRAME_MAX ? 1 : -1];

/* Of a text that is not a constant. */
static void print_variable(const char *text) {
    for (; *text != '\0'; text++) {
        ef_hal_write((const uint8_t *)text, 1);
    }
}

#ifdef __AVR__
static void print(const EF_FLASH char *text) {
    for (; *text != '\0'; text++) {
        const uint8_t byte = (uint8_t)*text;
        ef_hal_write(&byte, 1);
    }
}
#else
#define print print_variable
#endif

static void print_number(const EF_FLASH char *name, uint32_t value) {
    char digits[11];
    char *at = digits + sizeof digits - 1;
    *at = '\0';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    print(name);
    print_variable(at);
    print(EF_TEXT("\r\n"));
}

static void print_hash(const EF_FLASH char *name, const EF_FLASH uint8_t *hash) {
    print(name);
    for (size_t i = 0; i < 16; i++) {
        unsigned pair = hash[i / 2];
        unsigned digit = i % 2 != 0 ? pair & 15u : pair >> 4;
        uint8_t text = (uint8_t)EF_TEXT("0123456789abcdef")[digit];
        ef_hal_write(&text, 1);
    }
    print(EF_TEXT("\r\n"));
}

static bool equal(const char *a, const EF_FLASH char *b) {
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
    print(EF_TEXT("board " EF_BOARD_NAME "\r\nfirmware " EF_VERSION "\r\n"));
    print_hash(EF_TEXT("model "), ef_identity.model);
    print_hash(EF_TEXT("build "), ef_identity.build);
    print_number(EF_TEXT("inputs "), MODEL_INPUTS);
    print_number(EF_TEXT("outputs "), MODEL_OUTPUTS);
    print_number(EF_TEXT("window "), MODEL_WINDOW);
    print_number(EF_TEXT("max_steps "), max_steps());
    print_number(EF_TEXT("cycles_hz "), ef_hal_cycles_hz());
    print_number(EF_TEXT("stack_used "), ef_hal_stack_used());
}

/* Returns true when the command was `frame`. */
static bool run_command(const char *line) {
    if (equal(line, EF_TEXT("frame"))) {
        print(EF_TEXT("framed mode\r\n"));
        return true;
    }
    if (equal(line, EF_TEXT("help"))) {
        print(EF_TEXT("help   this list\r\n"
                      "info   model, board and memory\r\n"
                      "reset  clear the model's state\r\n"
                      "frame  binary frames until the host says BYE\r\n"));
    } else if (equal(line, EF_TEXT("info"))) {
        print_info();
    } else if (equal(line, EF_TEXT("reset"))) {
        MODEL(reset)(&model);
        print(EF_TEXT("ok\r\n"));
    } else {
        print(EF_TEXT("unknown command: "));
        print_variable(line);
        print(EF_TEXT(" (try 'help')\r\n"));
    }
    return false;
}

/* Reads and runs commands until `frame`. False when the input ended. */
static bool serve_text(void) {
    char *line = (char *)link.in.bytes; /* there is no frame now */
    size_t size = 0;
    for (;;) {
        int byte = ef_hal_getc();
        if (byte < 0) {
            return false;
        }
        /* '%' ends the commands of MLPerf Tiny */
        bool end = byte == '\n' || byte == '\r' || byte == '%';
        if (end && size > 0) {
            line[size] = '\0';
            size = 0;
#ifdef EF_MLPERF
            if (byte == '%') {
                ef_mlperf_command(FIRST_STATE, line);
                continue;
            }
#endif
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

static void put_bytes(const EF_FLASH void *from, size_t size) {
    for (const EF_FLASH uint8_t *byte = from; size > 0; size--) {
        put(*byte++, 1);
    }
}

/* Answers a request in its own place: the reply that is kept stays. */
static NOINLINE void refuse(unsigned code, unsigned detail) {
    uint8_t *reply = link.in.bytes;
    reply[EF_TYPE] = ERROR;
    reply[EF_HEADER] = (uint8_t)code;
    reply[EF_HEADER + 1] = (uint8_t)detail;
    ef_link_send(&link.in, EF_HEADER + 2);
}

static bool hello_is_right(size_t size) {
    if (size <= EF_HEADER) {
        refuse(BAD_LENGTH, HELLO);
        return false;
    }
    if (link.in.bytes[EF_HEADER] != EF_PROTOCOL_VERSION) {
        refuse(WRONG_VERSION, EF_PROTOCOL_VERSION);
        return false;
    }
    return true;
}

static void answer_hello(void) {
    /* a new host: the counters start again */
    link.errors = 0;
    steps_run = 0;
    put_bytes(&ef_identity, sizeof ef_identity);
    put(max_steps(), 2);
    put(ef_hal_cycles_hz(), 4);
}

#ifdef EF_GPIO_MARKER
/* The pin is high for longer than the counter counts: what it costs is not the step's. */
static uint32_t timed_step(const int16_t *x, int16_t *y) {
    ef_profile_begin();
    uint32_t start = ef_hal_cycles();
    MODEL(step)(&model, x, y);
    uint32_t cycles = ef_hal_cycles() - start;
    ef_profile_end();
    return cycles;
}

/* Cycles of one of the marker's calls: that of the end, which leaves a low pin as it is. */
#define MARKER_CALLS 16u
static uint32_t marker_cycles(void) {
    uint32_t start = ef_hal_cycles();
    for (uint32_t calls = 0; calls < MARKER_CALLS; calls++) {
        ef_profile_end();
    }
    return (ef_hal_cycles() - start + MARKER_CALLS / 2u) / MARKER_CALLS;
}
#else
static uint32_t timed_step(const int16_t *x, int16_t *y) {
    uint32_t start = ef_hal_cycles();
#ifdef EF_PROFILE
    ef_profile_begin();
#endif
    MODEL(step)(&model, x, y);
#ifdef EF_PROFILE
    ef_profile_end();
#endif
    return ef_hal_cycles() - start;
}
#endif

static bool step_is_right(size_t size) {
    size_t count = link.in.bytes[EF_HEADER + 1];
    if (size < STEP_HEADER) {
        refuse(BAD_LENGTH, STEP);
        return false;
    }
    if (count > max_steps()) {
        refuse(TOO_MANY_STEPS, (unsigned)max_steps());
        return false;
    }
    if (size != STEP_HEADER + 2 * MODEL_INPUTS * count) {
        refuse(BAD_LENGTH, STEP);
        return false;
    }
    return true;
}

static void answer_step(void) {
    size_t count = link.in.bytes[EF_HEADER + 1];
    if ((link.in.bytes[EF_HEADER] & STEP_RESET) != 0) {
        MODEL(reset)(&model);
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
#ifdef EF_GPIO_MARKER
    put(marker_cycles(), 4);
#endif
}

#ifdef MODEL_LEARNED_SIZE
static bool learning_is_right(unsigned type, size_t size) {
    unsigned code =
        ef_learning_refusal(&model, type, link.in.bytes + EF_HEADER, size - EF_HEADER, BAD_LENGTH);
    if (code != 0) {
        refuse(code, type);
    }
    return code == 0;
}

static void answer_learning(unsigned type, size_t size) {
    link.out_size += ef_learning_answer(&model, type, link.in.bytes + EF_HEADER, size - EF_HEADER,
                                        link.out.bytes + EF_HEADER, EF_FRAME_MAX - EF_HEADER);
}
#endif

/* Tells whether a request is to be run; if not, it is answered. */
static bool is_due(unsigned type, size_t size) {
    if (type == HELLO) {
        return hello_is_right(size);
    }
    if (link.in.words[0] != link.out.words[0]) {
        /* never the last reply: it may be another host's */
        refuse(OTHER_SESSION, link.out.words[0] != 0);
        return false;
    }
    if (link.in.bytes[EF_SEQUENCE] == link.out.bytes[EF_SEQUENCE]) {
        /* a host that missed a reply asks again: a step must not run twice */
        ef_link_send(&link.out, link.out_size);
        return false;
    }
    if (type == STEP) {
        return step_is_right(size);
    }
#ifdef MODEL_LEARNED_SIZE
    if (ef_learning_knows(type)) {
        return learning_is_right(type, size);
    }
#endif
    if (type != STATS && type != BYE) {
        refuse(UNKNOWN_TYPE, type);
        return false;
    }
    return true;
}

/* Serves frames until BYE. False when the input ended. The session is that of the last reply. */
static bool serve_frames(void) {
    size_t size;
    link.out.words[0] = 0; /* none: no host has that number */
    while ((size = ef_link_receive(&link)) > 0) {
        unsigned type = link.in.bytes[EF_TYPE];
        if (!is_due(type, size)) {
            continue;
        }
        link.out.words[0] = link.in.words[0];
        link.out.words[1] = link.in.words[1] | (uint32_t)REPLY;
        link.out_size = EF_HEADER;
        if (type == HELLO) {
            answer_hello();
        } else if (type == STEP) {
            answer_step();
        } else if (type == STATS) {
            answer_stats();
        }
#ifdef MODEL_LEARNED_SIZE
        if (ef_learning_knows(type)) {
            answer_learning(type, size);
        }
#endif
        ef_link_send(&link.out, link.out_size);
        if (type == BYE) {
            return true;
        }
    }
    return false;
}

int main(void) {
    ef_hal_init();
#ifdef EF_GPIO_MARKER
    ef_hal_marker_init();
#endif
    MODEL(init)(&model);
    MODEL(reset)(&model);
#ifdef MODEL_LEARNED_SIZE
    ef_learning_begin(&model);
#endif
    print_hash(EF_TEXT("EdgeFlow " EF_VERSION " " EF_BOARD_NAME " model "), ef_identity.model);
#ifdef EF_MLPERF
    ef_mlperf_begin();
#endif
    while (serve_text() && serve_frames()) {
    }
    return 0;
}

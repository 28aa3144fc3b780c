/* MLPerf Tiny: windows in hexadecimal, inferences with a time before and after (docs/mlperf.md). */
#include "ef_mlperf.h"

#ifdef EF_MLPERF

#include "ef_hal.h"
#include "ef_identity.h"

#include <stdbool.h>

#if !defined(EF_EMULATED)
#define TIME_NOTE ""
#elif defined(EF_MLPERF_ENERGY)
#define TIME_NOTE ", emulated"
#elif defined(EF_STEP_CYCLES)
#define TIME_NOTE ", time estimated for " EF_STEP_PART
#else
#define TIME_NOTE ", no time"
#endif

#define BYTES (2u * MODEL_WINDOW * MODEL_INPUTS)

static union {
    uint8_t bytes[BYTES];
    int16_t samples[BYTES / 2];
} window;
static uint32_t announced, loaded; /* bytes */
static int16_t outputs[MODEL_OUTPUTS];
static bool has_run;

/* ---- words ----------------------------------------------------------------------------------- */

static void print(const char *text) {
    for (; *text != '\0'; text++) {
        ef_hal_write((const uint8_t *)text, 1);
    }
}

static void print_number(uint64_t value) {
    char digits[21];
    char *at = digits + sizeof digits - 1;
    *at = '\0';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    print(at);
}

static void print_line(const char *before, uint64_t value, const char *after) {
    print(before);
    print_number(value);
    print(after);
    print("\r\n");
}

static void print_hex(unsigned byte) {
    const char *digits = "0123456789abcdef";
    const char text[3] = {digits[byte >> 4], digits[byte & 15u], '\0'};
    print(text);
}

static void print_error(const char *what, const char *detail) {
    print("e-[");
    print(what);
    print(detail);
    print("]\r\n");
}

/* Cuts the next word off the line; an empty one at its end. */
static const char *next_word(char **line) {
    while (**line == ' ') {
        ++*line;
    }
    const char *word = *line;
    while (**line != ' ' && **line != '\0') {
        ++*line;
    }
    if (**line == ' ') {
        *(*line)++ = '\0';
    }
    return word;
}

static bool equal(const char *a, const char *b) {
    while (*a == *b && *a != '\0') {
        a++;
        b++;
    }
    return *a == *b;
}

/* Reads a number of up to nine digits; an empty word leaves the value as it is. */
static bool read_number(const char *word, uint32_t *value) {
    if (*word == '\0') {
        return true;
    }
    uint32_t number = 0;
    for (size_t i = 0; word[i] != '\0'; i++) {
        if (word[i] < '0' || word[i] > '9' || i == 9) {
            print_error("Not a number: ", word);
            return false;
        }
        number = 10 * number + (uint32_t)(word[i] - '0');
    }
    *value = number;
    return true;
}

static int hex_digit(char digit) {
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* ---- time ------------------------------------------------------------------------------------ */

#if defined(EF_MLPERF_ENERGY)

static void count_step(void) {
}

static void mark_time(void) {
    ef_hal_pulse();
}

#elif defined(EF_EMULATED) && !defined(EF_STEP_CYCLES)

static void count_step(void) {
}

static void mark_time(void) {
    print_error("This board has no time", "");
}

#else

static uint64_t cycles;

#ifdef EF_EMULATED
/* An emulator's counter is not its board's: time is that of the steps which ran, at the cycles that
 * are estimated of each on a real one. */
static void count_step(void) {
    cycles += EF_STEP_CYCLES;
}

static uint32_t cycles_hz(void) {
    return EF_STEP_HZ;
}
#else
/* The counter's 32 bits do not wrap within a step. */
static void count_step(void) {
    static uint32_t before;
    uint32_t now = ef_hal_cycles();
    cycles += now - before;
    before = now;
}

static uint32_t cycles_hz(void) {
    count_step();
    return ef_hal_cycles_hz();
}
#endif

static void mark_time(void) {
    const uint32_t hz = cycles_hz();
    if (hz == 0) {
        print_error("This board has no time", "");
        return;
    }
    print_line("m-lap-us-", cycles / hz * 1000000u + cycles % hz * 1000000u / hz, "");
}

#endif

/* ---- commands -------------------------------------------------------------------------------- */

/* Probabilities in thousandths, of a sum of 1000. All but the class's are rounded down, to less
 * than they are: so a host that looks for the largest finds the class, whatever was rounded. */
static void print_results(void) {
    const int best = model_decide(outputs);
    uint32_t sum = 0, left = 1000;
    for (int i = 0; i < MODEL_OUTPUTS; i++) {
        sum += model_exponential((int32_t)outputs[best] - outputs[i]);
    }
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < MODEL_OUTPUTS; i++) {
            uint32_t share = 1000 * model_exponential((int32_t)outputs[best] - outputs[i]);
            share = share > 0 ? (share - 1) / sum : 0;
            if (pass == 0) {
                left -= i != best ? share : 0;
                continue;
            }
            share = i != best ? share : left;
            print(i == 0 ? "m-results-[" : ",");
            print(share == 1000 ? "1." : "0.");
            print(share % 1000 < 100 ? "0" : "");
            print(share % 1000 < 10 ? "0" : "");
            print_number(share % 1000);
        }
    }
    print("]\r\n");
}

static void run_inferences(model_t *model, uint32_t count) {
    for (; count > 0; count--) {
        const int16_t *x = window.samples;
        model_reset(model);
        for (uint32_t left = MODEL_WINDOW; left > 0; left--) {
            model_step(model, x, outputs);
            x += MODEL_INPUTS;
            count_step();
        }
    }
}

static void infer(model_t *model, char *line) {
    uint32_t count = 1, warm_ups = 10;
    if (!read_number(next_word(&line), &count) || !read_number(next_word(&line), &warm_ups)) {
        return;
    }
    if (count == 0) {
        print_error("At least one inference", "");
        return;
    }
    if (loaded != BYTES) {
        print_line("e-[A window has ", BYTES, " bytes: load them]");
        return;
    }
    print_line("m-warmup-start-", warm_ups, "");
    run_inferences(model, warm_ups);
    print("m-warmup-done\r\n");
    print_line("m-infer-start-", count, "");
    mark_time();
    run_inferences(model, count);
    mark_time();
    print("m-infer-done\r\n");
    has_run = true;
    print_results();
}

/* Takes all bytes of a command or none. */
static void load_bytes(const char *hex) {
    uint32_t digits = 0;
    for (; hex[digits] != '\0'; digits++) {
        if (hex_digit(hex[digits]) < 0) {
            print_error("Not hexadecimal: ", hex);
            return;
        }
    }
    if (digits % 2 != 0) {
        print_error("A byte has two digits", "");
        return;
    }
    if (digits / 2 > announced - loaded) {
        print_line("e-[Only ", announced - loaded, " bytes are due]");
        return;
    }
    for (; *hex != '\0'; hex += 2) {
        window.bytes[loaded++] = (uint8_t)(16 * hex_digit(hex[0]) + hex_digit(hex[1]));
    }
    if (loaded == announced) {
        print("m-load-done\r\n");
    }
}

static void announce(const char *word) {
    uint32_t count = 0;
    if (!read_number(word, &count)) {
        return;
    }
    if (count == 0 || count > BYTES) {
        print_line("e-[1 to ", BYTES, " bytes]");
        return;
    }
    announced = count;
    loaded = 0;
    print_line("m-[Expecting ", count, " bytes]");
}

static void print_bytes(void) {
    for (uint32_t i = 0; i < loaded; i++) {
        print(i % 8 == 0 ? "m-buffer-" : "-");
        print_hex(window.bytes[i]);
        print(i % 8 == 7 || i + 1 == loaded ? "\r\n" : "");
    }
}

static void use_buffer(char *line) {
    const char *word = next_word(&line);
    if (equal(word, "load")) {
        announce(next_word(&line));
    } else if (equal(word, "print")) {
        print_bytes();
    } else if (*word == '\0') {
        print_error("db load N, db HEX or db print", "");
    } else {
        load_bytes(word);
    }
}

static void run_command(model_t *model, char *line) {
    const char *word = next_word(&line);
    if (equal(word, "name")) {
        print("m-name-dut-[EdgeFlow " EF_BOARD_NAME TIME_NOTE "]\r\n");
    } else if (equal(word, "profile")) {
        print("m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[" EF_MLPERF "]\r\n");
    } else if (equal(word, "timestamp")) {
        mark_time();
    } else if (equal(word, "db")) {
        use_buffer(line);
    } else if (equal(word, "infer")) {
        infer(model, line);
    } else if (equal(word, "results") && has_run) {
        print_results();
    } else if (equal(word, "results")) {
        print_error("No inference has run", "");
    } else if (equal(word, "help")) {
        print("help         this list\r\n"
              "name         the board\r\n"
              "profile      firmware and model\r\n"
              "timestamp    microseconds, or an edge of the pin\r\n"
              "db load N    announce the bytes of a window\r\n"
              "db HEX       some of them\r\n"
              "db print     those that are there\r\n"
              "infer N W    N inferences after W others\r\n"
              "results      the last one's probabilities\r\n");
    } else {
        print_error("Unknown command: ", word);
    }
}

void ef_mlperf_command(model_t *model, char *line) {
    size_t size = 0;
    while (line[size] != '\0') {
        size++;
    }
    if (size > EF_MLPERF_COMMAND) {
        print_error("A command has at most 80 characters", "");
    } else {
        run_command(model, line);
    }
    print("m-ready\r\n");
}

void ef_mlperf_begin(void) {
#ifdef EF_MLPERF_ENERGY
    ef_hal_pulse_init();
    print("m-timestamp-mode-energy\r\n");
#else
    print("m-timestamp-mode-performance\r\n");
#endif
    print("m-init-done\r\nm-ready\r\n");
}

#endif

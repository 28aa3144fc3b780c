/* Checks of the C unit tests: one program per file; it fails if any check does. */
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

static int check_failures;

static inline void check_equal(int64_t found, int64_t expected, const char *what, const char *file,
                               int line) {
    if (found != expected && check_failures++ < 20) {
        fprintf(stderr, "%s:%d: %s is %" PRId64 ", not %" PRId64 "\n", file, line, what, found,
                expected);
    }
}

#define CHECK_EQUAL(found, expected)                                                               \
    check_equal((int64_t)(found), (int64_t)(expected), #found, __FILE__, __LINE__)
#define CHECK(condition) check_equal((condition) ? 1 : 0, 1, #condition, __FILE__, __LINE__)

/* The program's exit code. */
static inline int check_result(void) {
    return check_failures ? 1 : 0;
}

/* The same numbers in each run: Marsaglia's xorshift32. */
static inline uint32_t draw(void) {
    static uint32_t state = 2463534242u;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/* Evenly in low..high; one time in four an end. */
static inline int32_t draw_in(int32_t low, int32_t high) {
    const uint32_t kind = draw() % 8u;
    if (kind < 2)
        return kind ? high : low;
    return (int32_t)(low + (int64_t)(draw() % ((uint64_t)((int64_t)high - low) + 1u)));
}

#endif

#include "ef_math.h"

#include <math.h>

#include "check.h"
#include "reference.h"

static void clipping_reaches_both_ends(void) {
    CHECK_EQUAL(ef_sat16(32768), 32767);
    CHECK_EQUAL(ef_sat16(-32769), -32768);
    CHECK_EQUAL(ef_sat16(INT32_MIN), -32768);
    for (unsigned i = 0; i < 20000; i++) {
        const int32_t value = draw_in(INT32_MIN, INT32_MAX), low = draw_in(-40000, 0);
        CHECK_EQUAL(ef_sat16(value), clip64(value, -32768, 32767));
        CHECK_EQUAL(ef_clip(value, low, 77), clip64(value, low, 77));
    }
}

/* Half rounds up, below zero too: a shift that truncates differs there only. */
static void products_are_rounded(void) {
    CHECK_EQUAL(ef_multiply_high_round(1, 1 << 30), 0);
    CHECK_EQUAL(ef_multiply_high_round(2, 1 << 30), 1);
    CHECK_EQUAL(ef_multiply_high_round(-2, 1 << 30), 0);
    CHECK_EQUAL(ef_multiply_high_round(INT32_MIN, INT32_MAX), -1073741823);
    for (unsigned i = 0; i < 20000; i++) {
        const int32_t a = draw_in(INT32_MIN, INT32_MAX), b = draw_in(0, INT32_MAX);
        const int64_t product = (int64_t)a * b + ((int64_t)1 << 31);
        CHECK_EQUAL(ef_multiply_high_round(a, b), floor_divide(product, (int64_t)1 << 32));
    }
}

/* Every shift, up to the accumulators that are proven to fit. */
static void requantization_is_the_reference(void) {
    for (unsigned shift = 1; shift <= 15; shift++) {
        const int32_t limit = INT32_MAX >> shift;
        for (unsigned i = 0; i < 2000; i++) {
            const int32_t acc = draw_in(-limit, limit), multiplier = draw_in(0, INT32_MAX);
            CHECK_EQUAL(ef_requantize(acc, multiplier, shift),
                        requantize64(acc, multiplier, shift));
        }
    }
}

/* A width is symmetric: -2^(bits - 1) never comes out. */
static void narrowing_rounds_and_is_symmetric(void) {
    for (unsigned bits = 2; bits <= 16; bits++) {
        const int64_t limit = ((int64_t)1 << (bits - 1)) - 1;
        for (unsigned shift = 1; shift <= 30; shift++) {
            const int32_t most = INT32_MAX - (1 << (shift - 1));
            for (unsigned i = 0; i < 50; i++) {
                const int32_t value = draw_in(-most, most);
                CHECK_EQUAL(ef_narrow(value, shift, bits),
                            clip64(round_shift(value, shift), -limit, limit));
            }
        }
    }
}

/* Over a day of steps at the largest rate and targets. */
static void a_leak_stays_within_30_bits(void) {
    int32_t h = 0;
    for (unsigned i = 0; i < 100000; i++) {
        const int32_t rate = draw_in(0, 32767), target = draw_in(-32768, 32767);
        const int64_t expected = h + (int64_t)rate * (target - floor_divide(h, (int64_t)1 << 15));
        h = ef_leak(h, rate, target);
        CHECK_EQUAL(h, expected);
        CHECK(h >= -(1 << 30) && h < 1 << 30);
    }
}

/* Every int16 value: no node behind the table is read, none of the others is missed. */
static void a_lookup_interpolates_between_nodes(void) {
    for (int32_t value = -32768; value <= 32767; value++) {
        const int64_t node = floor_divide(value, 256) + 128, part = value - 256 * (node - 128);
        const int64_t left = ef_table_tanh[node], right = ef_table_tanh[node + 1];
        CHECK_EQUAL(ef_lookup(ef_table_tanh, value), left + round_shift((right - left) * part, 8));
    }
}

static void sizes_are_rounded_up_to_fours(void) {
    static const unsigned expected[] = {0, 4, 4, 4, 4, 8, 8, 8, 8, 12};
    for (unsigned i = 0; i < 10; i++)
        CHECK_EQUAL(ef_round_up(i), expected[i]);
}

static void check_near(const int16_t *table, int node, double value, double unit) {
    const double exact = fmax(-32767, fmin(32767, value * unit));
    CHECK(fabs(table[node] - exact) <= 0.5 + 1e-9);
}

/* Against libm: a table of another function, or shifted by a node, passes no such test. */
static void tables_are_the_rounded_functions(void) {
    for (int i = 0; i < 257; i++) {
        const double x = (i - 128) / 16.0;
        check_near(ef_table_sigmoid, i, 1 / (1 + exp(-x)), 32768);
        check_near(ef_table_tanh, i, tanh(x), 32768);
        check_near(ef_table_decay, i, x * exp(-fabs(x)), 32768);
        check_near(ef_table_log_sigmoid, i, -log1p(exp(-x)), 4096);
        check_near(ef_table_reciprocal, i, 1 / (1 + i / 256.0), 32768);
    }
}

/* What Helium's lookup relies on, and what keeps the gates symmetric. */
static void tables_rise_and_are_odd(void) {
    CHECK_EQUAL(ef_table_sigmoid[128], 16384);
    for (int i = 0; i < 256; i++) {
        CHECK(ef_table_sigmoid[i] <= ef_table_sigmoid[i + 1]);
        CHECK(ef_table_tanh[i] <= ef_table_tanh[i + 1]);
        CHECK(ef_table_log_sigmoid[i] <= ef_table_log_sigmoid[i + 1]);
        CHECK(ef_table_reciprocal[i] >= ef_table_reciprocal[i + 1]);
    }
    for (int i = 0; i <= 128; i++) {
        CHECK_EQUAL(ef_table_tanh[128 + i], -ef_table_tanh[128 - i]);
        CHECK_EQUAL(ef_table_decay[128 + i], -ef_table_decay[128 - i]);
        CHECK_EQUAL(ef_table_sigmoid[128 + i], 32768 - ef_table_sigmoid[128 - i]);
        CHECK(ef_table_sigmoid[128 - i] > 0);
    }
}

int main(void) {
    clipping_reaches_both_ends();
    products_are_rounded();
    requantization_is_the_reference();
    narrowing_rounds_and_is_symmetric();
    a_leak_stays_within_30_bits();
    a_lookup_interpolates_between_nodes();
    sizes_are_rounded_up_to_fours();
    tables_are_the_rounded_functions();
    tables_rise_and_are_odd();
    return check_result();
}

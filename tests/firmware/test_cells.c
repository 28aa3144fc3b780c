#include <math.h>
#include <string.h>

#include "check.h"
#include "ef_math.h"
#include "reference.h"

/* A product whose result the test chooses: `weights` is y. */
static void chosen(const ef_matrix *matrix, const int16_t *x, int16_t *y) {
    (void)x;
    memcpy(y, matrix->weights, matrix->rows * sizeof *y);
}

static ef_matrix product_of(const int16_t *y, unsigned rows) {
    const ef_matrix matrix = {.matvec = chosen, .weights = y, .rows = (uint16_t)rows};
    return matrix;
}

static void draw_values(int16_t *values, unsigned count, int32_t limit) {
    for (unsigned i = 0; i < count; i++)
        values[i] = (int16_t)draw_in(-limit, limit);
}

static double sigmoid(double v) {
    return 1 / (1 + exp(-v));
}

static double clip_unit(double v) {
    return fmin(fmax(v, -8), 32767 / 4096.0);
}

enum { HIDDEN = 5 };

/* Gates in another order, or h on the wrong side of z, are far from the equations. */
static void gru_follows_its_equations_and_bounds(void) {
    int16_t a[3 * HIDDEN], u[3 * HIDDEN], scratch[6 * HIDDEN], h[HIDDEN] = {0};
    const ef_matrix input = product_of(a, 3 * HIDDEN), recurrent = product_of(u, 3 * HIDDEN);
    for (unsigned bits = 8; bits <= 16; bits++) {
        const ef_gru gru = {&input, &recurrent, HIDDEN, (uint8_t)bits};
        const int32_t limit = (1 << (bits - 1)) - 1;
        for (unsigned step = 0; step < 200; step++) {
            int16_t old[HIDDEN];
            draw_values(a, 3 * HIDDEN, step % 2 ? 32767 : 9000);
            draw_values(u, 3 * HIDDEN, step % 2 ? 32767 : 9000);
            draw_values(h, HIDDEN, limit);
            memcpy(old, h, sizeof h);
            ef_gru_step(&gru, a, h, scratch);
            for (unsigned i = 0; i < HIDDEN; i++) {
                const double q = 1 / 4096.0;
                const double r = sigmoid(clip_unit((a[i] + u[i]) * q));
                const double z = sigmoid(clip_unit((a[HIDDEN + i] + u[HIDDEN + i]) * q));
                const double n = tanh(clip_unit((a[2 * HIDDEN + i] + r * u[2 * HIDDEN + i]) * q));
                const double unit = 1 << (bits - 1), was = old[i] / unit;
                CHECK(fabs(h[i] / unit - (n + z * (was - n))) < 0.006 + 0.6 / unit);
                CHECK(h[i] >= -limit && h[i] <= limit);
            }
        }
    }
}

/* c saturates instead of wrapping where f and i are open for ever. */
static void lstm_follows_its_equations_and_bounds(void) {
    int16_t a[4 * HIDDEN], u[4 * HIDDEN], scratch[8 * HIDDEN + 1], h[HIDDEN], c[HIDDEN];
    const ef_matrix input = product_of(a, 4 * HIDDEN), recurrent = product_of(u, 4 * HIDDEN);
    for (unsigned fraction = 8; fraction <= 15; fraction++) {
        const ef_lstm lstm = {&input, &recurrent, HIDDEN, 12, (uint8_t)fraction};
        for (unsigned step = 0; step < 200; step++) {
            int16_t old[HIDDEN];
            draw_values(a, 4 * HIDDEN, step % 2 ? 32767 : 9000);
            draw_values(u, 4 * HIDDEN, step % 2 ? 32767 : 9000);
            draw_values(c, HIDDEN, 32767);
            memcpy(old, c, sizeof c);
            ef_lstm_step(&lstm, a, h, c, scratch);
            for (unsigned k = 0; k < HIDDEN; k++) {
                double v[4];
                for (unsigned gate = 0; gate < 4; gate++)
                    v[gate] = clip_unit((a[gate * HIDDEN + k] + u[gate * HIDDEN + k]) / 4096.0);
                const double unit = 1 << fraction, most = 32767 / unit;
                double next = sigmoid(v[1]) * old[k] / unit + sigmoid(v[0]) * tanh(v[2]);
                next = fmin(fmax(next, -32768 / unit), most);
                CHECK(fabs(c[k] / unit - next) < 0.002 + most * 0.0005 + 1.1 / unit);
                CHECK(fabs(h[k] / 2048.0 - sigmoid(v[3]) * tanh(clip_unit(c[k] / unit))) < 0.003);
                CHECK(h[k] >= -2047 && h[k] <= 2047);
            }
        }
    }
}

/* The same of a cell state of 32 bits, small or large. */
static void wide_lstm_follows_its_equations_and_bounds(void) {
    int16_t a[4 * HIDDEN], u[4 * HIDDEN], scratch[8 * HIDDEN + 1], h[HIDDEN];
    int32_t c[HIDDEN];
    const ef_matrix input = product_of(a, 4 * HIDDEN), recurrent = product_of(u, 4 * HIDDEN);
    for (unsigned fraction = 13; fraction <= 30; fraction++) {
        const ef_wide_lstm lstm = {&input, &recurrent, HIDDEN, 12, (uint8_t)fraction};
        for (unsigned step = 0; step < 200; step++) {
            int16_t drawn[HIDDEN];
            int32_t old[HIDDEN];
            draw_values(a, 4 * HIDDEN, step % 2 ? 32767 : 9000);
            draw_values(u, 4 * HIDDEN, step % 2 ? 32767 : 9000);
            draw_values(drawn, HIDDEN, 32767);
            for (unsigned k = 0; k < HIDDEN; k++)
                c[k] = drawn[k] * ((int32_t)1 << step % 16) + (step % 3 ? drawn[0] : 0) / 2;
            memcpy(old, c, sizeof c);
            ef_wide_lstm_step(&lstm, a, h, c, scratch);
            for (unsigned k = 0; k < HIDDEN; k++) {
                double v[4];
                for (unsigned gate = 0; gate < 4; gate++)
                    v[gate] = clip_unit((a[gate * HIDDEN + k] + u[gate * HIDDEN + k]) / 4096.0);
                const double unit = (double)(1 << fraction), most = (1 << 30) / unit;
                double next = sigmoid(v[1]) * old[k] / unit + sigmoid(v[0]) * tanh(v[2]);
                next = fmin(fmax(next, -most), most);
                CHECK(fabs(c[k] / unit - next) < 0.002 + fabs(old[k] / unit) * 0.0005 + 2 / unit);
                CHECK(fabs(h[k] / 2048.0 - sigmoid(v[3]) * tanh(clip_unit(c[k] / unit))) < 0.003);
                CHECK(h[k] >= -2047 && h[k] <= 2047 && c[k] >= -(1 << 30) && c[k] <= 1 << 30);
            }
        }
    }
}

/* All resets, with and without a synapse and feedback; saturation of the membrane. */
static void neurons_fire_above_the_threshold(void) {
    int16_t in[HIDDEN], back[HIDDEN], alpha[HIDDEN], beta[HIDDEN], threshold[HIDDEN];
    int16_t j[HIDDEN] = {0}, u[HIDDEN] = {0}, s[HIDDEN] = {0}, scratch[2 * HIDDEN];
    const ef_matrix input = product_of(in, HIDDEN), recurrent = product_of(back, HIDDEN);
    for (unsigned kind = 0; kind < 12; kind++) {
        const unsigned reset = kind % 3;
        const unsigned synapse = kind / 3 % 2, feedback = kind / 6;
        const ef_lif lif = {
            &input,        feedback ? &recurrent : 0, synapse ? alpha : 0, beta, threshold, HIDDEN,
            (uint8_t)reset};
        for (unsigned step = 0; step < 500; step++) {
            for (unsigned i = 0; i < HIDDEN; i++) {
                in[i] = (int16_t)draw_in(-32768, 32767);
                back[i] = (int16_t)draw_in(-32768, 32767);
                alpha[i] = (int16_t)draw_in(0, 32767);
                beta[i] = (int16_t)draw_in(0, 32767);
                threshold[i] = (int16_t)draw_in(1, 32767);
            }
            int64_t expected[HIDDEN], current[HIDDEN];
            for (unsigned i = 0; i < HIDDEN; i++) {
                current[i] = in[i] + (feedback ? back[i] : 0);
                if (synapse)
                    current[i] = clip64(round_shift((int64_t)j[i] * alpha[i], 15) + current[i],
                                        -32768, 32767);
                int64_t v = round_shift((int64_t)u[i] * beta[i], 15) + current[i];
                if (s[i] && reset == EF_LIF_SUBTRACT)
                    v -= threshold[i];
                else if (s[i])
                    v = reset == EF_LIF_ZERO ? current[i] : 0;
                expected[i] = clip64(v, -32768, 32767);
            }
            ef_lif_step(&lif, in, synapse ? j : 0, u, s, scratch);
            for (unsigned i = 0; i < HIDDEN; i++) {
                CHECK_EQUAL(u[i], expected[i]);
                CHECK_EQUAL(s[i], expected[i] > threshold[i]);
                if (synapse)
                    CHECK_EQUAL(j[i], current[i]);
            }
        }
    }
}

static void clamp_and_relu_clip_every_value(void) {
    static const int32_t limits[] = {1, 127, 2047, 32767};
    for (int32_t value = -32768; value <= 32767; value++) {
        const int16_t x = (int16_t)value;
        for (unsigned i = 0; i < 4; i++) {
            int16_t y = 99;
            ef_clamp_s16(&x, &y, 1, limits[i]);
            CHECK_EQUAL(y, clip64(value, -limits[i], limits[i]));
            const unsigned shift = 5 * i;
            const int64_t rounded = shift ? round_shift(value, shift) : value;
            ef_relu_s16(&x, &y, 1, shift, limits[i]);
            CHECK_EQUAL(y, clip64(rounded, 0, limits[i]));
        }
    }
}

/* A sum without a leak ends at 2^30; one with half a leak at twice its x. */
static void sums_stop_and_leak(void) {
    const int16_t x[2] = {32767, -32768};
    int32_t sum[2] = {0, 0};
    int16_t y[2];
    ef_accumulate ours = {2, 16, 32768, 15};
    for (unsigned step = 0; step < 40000; step++)
        ef_accumulate_step(&ours, x, sum, y);
    CHECK_EQUAL(sum[0], 1 << 30);
    CHECK_EQUAL(sum[1], -(1 << 30));
    CHECK_EQUAL(y[0], 32767);
    CHECK_EQUAL(y[1], -32768);
    ours.decay = 16384;
    ours.shift = 1;
    for (unsigned step = 0; step < 100; step++)
        ef_accumulate_step(&ours, x, sum, y);
    CHECK(sum[0] >= 2 * 32767 - 2 && sum[0] <= 2 * 32767 + 2);
    CHECK_EQUAL(y[0], floor_divide(sum[0] + 1, 2) > 32767 ? 32767 : floor_divide(sum[0] + 1, 2));
}

/* The oldest sample first, `dilation` apart, for windows that overlap. */
static void a_delay_line_keeps_its_order(void) {
    const ef_taps taps = {2, 16, 3, 4};
    int16_t past[2 * 4 * 2] = {0}, y[3 * 2];
    for (int step = 1; step <= 40; step++) {
        const int16_t x[2] = {(int16_t)step, (int16_t)-step};
        ef_taps_step(&taps, x, past, y);
        for (int tap = 0; tap < 3; tap++) {
            const int then = step - 4 * (2 - tap);
            CHECK_EQUAL(y[2 * tap], then > 0 ? then : 0);
            CHECK_EQUAL(y[2 * tap + 1], then > 0 ? -then : 0);
        }
    }
}

/* Every third step from the fifth on is passed, and the largest of two is of neighbours. */
static void a_rate_divider_keeps_its_phase(void) {
    const ef_decimate every = {1, 16, 4, 3};
    const ef_moving_max largest = {1, 16, 2};
    const ef_zero_order_hold hold = {1, 16};
    int16_t phase = 0, past = 0, passed = 5000, most, held = 0;
    for (int step = 0; step < 1000; step++) {
        const int16_t x = (int16_t)(step % 2 ? -step : step);
        ef_decimate_step(&every, &x, &phase, &passed);
        const int due = step >= 4 && (step - 4) % 3 == 0;
        CHECK_EQUAL(phase == -3, due);
        CHECK_EQUAL(passed == x, due);
        ef_moving_max_step(&largest, &x, &past, &most);
        CHECK_EQUAL(most, step % 2 ? step - 1 : step);
        ef_zero_order_hold_step(&hold, &passed, &held);
        CHECK_EQUAL(held, passed);
    }
}

/* The lead counts, not the value, and not before `start` samples were read. */
static void a_decision_needs_the_lead_and_the_start(void) {
    const ef_cutoff cell = {3, 10, 3};
    int16_t held[3], count = 0;
    const int16_t samples[][3] = {{0, 90, 0}, {0, 90, 0}, {81, 90, 0}, {-90, -91, -80}};
    const int16_t counts[] = {1, 2, 3, -1};
    for (unsigned i = 0; i < 4; i++) {
        ef_cutoff_step(&cell, samples[i], held, &count);
        CHECK_EQUAL(count, counts[i]);
        CHECK_EQUAL(memcmp(held, samples[i], sizeof held), 0);
    }
}

/* Mean 0 and deviation 1 of what is not constant; the same of a multiple, up to rounding. */
static void a_norm_does_not_depend_on_the_scale(void) {
    static const int16_t gain[4] = {1 << 14, 1 << 14, 1 << 14, 1 << 14};
    static const int32_t bias[4];
    const ef_layer_norm norm = {gain, bias, 4, 1, 16, 16, 2};
    static const double expected[4] = {-1.3416407865, -0.4472135955, 0.4472135955, 1.3416407865};
    int16_t y[4];
    for (int scale = 1; scale <= 10000; scale *= 10) {
        int16_t x[4];
        for (int i = 0; i < 4; i++)
            x[i] = (int16_t)(7 + (2 * i - 3) * scale);
        ef_layer_norm_step(&norm, x, y);
        for (unsigned i = 0; i < 4; i++)
            CHECK(fabs(y[i] / 4096.0 - expected[i]) < (scale == 1 ? 0.02 : 0.001));
    }
}

int main(void) {
    gru_follows_its_equations_and_bounds();
    lstm_follows_its_equations_and_bounds();
    wide_lstm_follows_its_equations_and_bounds();
    neurons_fire_above_the_threshold();
    clamp_and_relu_clip_every_value();
    sums_stop_and_leak();
    a_delay_line_keeps_its_order();
    a_rate_divider_keeps_its_phase();
    a_decision_needs_the_lead_and_the_start();
    a_norm_does_not_depend_on_the_scale();
    return check_result();
}

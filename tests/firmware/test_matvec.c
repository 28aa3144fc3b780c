#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "ef_math.h"
#include "reference.h"

/* Matrices that meet the proof of docs/integer-semantics.md, among them its extremes. */
static const unsigned shapes[][2] = {{1, 1},   {3, 5},    {8, 4},    {7, 9},
                                     {17, 33}, {24, 130}, {40, 257}, {2, 700}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static plain_matrix plain;
static unsigned saturated[2]; /* values at the lower and the upper end of int16 */

/* Draws a matrix with one weight of `one_in` not zero. Its sums, shifted, fit for |x| <= 32768. */
static void draw_matrix(unsigned shape, int32_t largest, unsigned one_in) {
    int64_t bound = 1;
    plain.rows = shapes[shape][0];
    plain.cols = shapes[shape][1];
    largest = largest < 32000 / (int32_t)plain.cols ? largest : 32000 / (int32_t)plain.cols;
    for (unsigned row = 0; row < plain.rows; row++) {
        int64_t sum = 0;
        for (unsigned col = 0; col < plain.cols; col++) {
            const int32_t weight = draw() % one_in ? 0 : draw_in(-largest, largest);
            plain.weight[row][col] = (int8_t)weight;
            sum += 32768 * (int64_t)abs(weight);
        }
        plain.bias[row] = draw_in(-1000, 1000);
        plain.multiplier[row] = draw_in(0, INT32_MAX);
        sum += abs(plain.bias[row]);
        bound = sum > bound ? sum : bound;
    }
    for (plain.shift = 1; plain.shift < 15 && bound << (plain.shift + 1) <= INT32_MAX;)
        plain.shift++;
}

static ef_matrix matrix_of(ef_matvec *kernel, const void *weights) {
    const ef_matrix matrix = {.matvec = kernel,
                              .weights = weights,
                              .bias = plain.bias,
                              .multiplier = plain.multiplier,
                              .rows = (uint16_t)plain.rows,
                              .cols = (uint16_t)plain.cols,
                              .shift = (uint8_t)plain.shift,
                              .group = 1};
    return matrix;
}

/* Compares y [rows] with the reference; y has no room for more, x none behind whole fours. */
static void check_product(const ef_matrix *matrix, int32_t low, int32_t high) {
    for (unsigned run = 0; run < 6; run++) {
        int16_t *x = malloc(ef_round_up(plain.cols) * sizeof *x);
        int16_t *y = malloc(plain.rows * sizeof *y);
        int16_t expected[MAX_ROWS];
        for (unsigned i = 0; i < ef_round_up(plain.cols); i++) {
            x[i] = (int16_t)draw_in(low, high);
            if (run < 2 && i < plain.cols) /* the first row's sum is as large as can be */
                x[i] = (int16_t)((plain.weight[0][i] < 0) == (run == 0) ? high : low);
        }
        product64(&plain, x, expected);
        ef_apply(matrix, x, y);
        for (unsigned row = 0; row < plain.rows; row++) {
            CHECK_EQUAL(y[row], expected[row]);
            saturated[0] += y[row] == -32768;
            saturated[1] += y[row] == 32767;
        }
        free(x);
        free(y);
    }
}

static void int8_row_by_row(void) {
    for (unsigned shape = 0; shape < SHAPES; shape++) {
        draw_matrix(shape, 127, 1);
        int8_t *weights = malloc(plain.rows * plain.cols);
        for (unsigned row = 0; row < plain.rows; row++)
            memcpy(weights + row * plain.cols, plain.weight[row], plain.cols);
        const ef_matrix matrix = matrix_of(ef_matvec_s8_s16, weights);
        check_product(&matrix, -32768, 32767);
        free(weights);
    }
}

/* Odd columns leave half of a byte, which is not read. */
static void int4_two_columns_per_byte(void) {
    for (unsigned shape = 0; shape < SHAPES; shape++) {
        draw_matrix(shape, 7, 1);
        const unsigned bytes = (plain.cols + 1) / 2;
        uint8_t *weights = malloc(plain.rows * bytes);
        for (unsigned i = 0; i < plain.rows * bytes; i++) {
            const int8_t *pair = plain.weight[i / bytes] + i % bytes * 2;
            const int second = i % bytes * 2 + 1 < plain.cols ? pair[1] : 5;
            weights[i] = (uint8_t)((pair[0] & 15) | (second & 15) << 4);
        }
        const ef_matrix matrix = matrix_of(ef_matvec_s4_s16, weights);
        check_product(&matrix, -32768, 32767);
        free(weights);
    }
}

/* Packs what is not zero of blocks of `height` rows x 1 column; zeros where the next is far. */
static int8_t *pack_sparse(unsigned height) {
    int8_t *stream = malloc((plain.rows + height) * (2 + (height + 1) * plain.cols)), *at = stream;
    for (unsigned row = 0; row < plain.rows; row += height) {
        int8_t *head = at;
        unsigned count = 0, last = 0;
        at += 2;
        for (unsigned col = 0; col < plain.cols; col++) {
            int filled = col - last == 255;
            for (unsigned i = row; i < row + height && i < plain.rows; i++)
                filled |= plain.weight[i][col] != 0;
            if (!filled)
                continue;
            *at++ = (int8_t)(col - last);
            for (unsigned i = row; i < row + height; i++)
                *at++ = i < plain.rows ? plain.weight[i][col] : 0;
            last = col;
            count++;
        }
        head[0] = (int8_t)(count & 255u);
        head[1] = (int8_t)(count >> 8);
    }
    return stream;
}

/* Dense, sparse and empty rows, and gaps of more than a byte can hold. */
static void check_sparse(unsigned height, ef_matvec *kernel) {
    static const unsigned one_in[] = {1, 4, 127, 700, 1000000};
    for (unsigned i = 0; i < sizeof one_in / sizeof *one_in; i++) {
        for (unsigned shape = 0; shape < SHAPES; shape++) {
            draw_matrix(shape, 127, one_in[i]);
            int8_t *stream = pack_sparse(height);
            const ef_matrix matrix = matrix_of(kernel, stream);
            check_product(&matrix, -32768, 32767);
            free(stream);
        }
    }
}

static void sparse_columns_of_eight_rows(void) {
    check_sparse(8, ef_matvec_sparse_8x1_s8_s16);
}

static void sparse_weights(void) {
    check_sparse(1, ef_matvec_sparse_1x1_s8_s16);
}

/* x in {-1, 0, 1}: spikes of both signs, of one, and none, for which results are stored. */
static void spikes_add_columns(void) {
    static const int32_t ends[][2] = {{-1, 1}, {0, 1}, {-1, 0}, {0, 0}};
    for (unsigned shape = 0; shape < SHAPES; shape++) {
        draw_matrix(shape, 127, 1);
        const unsigned words = 20 + 2 * plain.cols, groups = (plain.rows + 7) / 8;
        uint32_t *stream = calloc(groups * words, sizeof *stream);
        for (unsigned row = 0; row < plain.rows; row++) {
            uint32_t *group = stream + row / 8 * words;
            const unsigned i = row % 8;
            const int16_t none = requantize64(plain.bias[row], plain.multiplier[row], plain.shift);
            group[i] = (uint32_t)plain.bias[row];
            group[8 + i] = (uint32_t)plain.multiplier[row];
            group[16 + i / 2] |= (uint32_t)(uint16_t)none << i % 2 * 16;
            for (unsigned col = 0; col < plain.cols; col++)
                group[20 + 2 * col + i / 4] |= (uint32_t)(plain.weight[row][col] + 128)
                                               << i % 4 * 8;
        }
        const ef_matrix matrix = matrix_of(ef_add_columns_s8, stream);
        for (unsigned kind = 0; kind < 4; kind++)
            check_product(&matrix, ends[kind][0], ends[kind][1]);
        free(stream);
    }
}

/* The second factor reads what the first wrote, where the matrix says. */
static void low_rank_is_two_products(void) {
    struct {
        int16_t x[132], product[8];
    } memory;
    int8_t first[3 * 130], second[3 * 5];
    int16_t inner[4] = {0}, expected[5], y[5];
    for (unsigned run = 0; run < 50; run++) {
        draw_matrix(5, 127, 1);
        plain.rows = 3;
        for (unsigned row = 0; row < 3; row++)
            memcpy(first + row * 130, plain.weight[row], 130);
        const plain_matrix saved = plain;
        ef_matrix factor = matrix_of(ef_matvec_s8_s16, first);
        factor.bias = saved.bias;
        factor.multiplier = saved.multiplier;
        for (unsigned i = 0; i < 132; i++)
            memory.x[i] = (int16_t)draw_in(-32768, 32767);
        product64(&saved, memory.x, inner);
        draw_matrix(1, 127, 1);
        plain.rows = 5;
        plain.cols = 3;
        for (unsigned row = 0; row < 5; row++) {
            plain.bias[row] = (int32_t)row;
            plain.multiplier[row] = INT32_MAX;
            memcpy(second + row * 3, plain.weight[row], 3);
        }
        const ef_matrix left = matrix_of(ef_matvec_s8_s16, second);
        const ef_low_rank factors = {&factor, &left};
        ef_matrix both = matrix_of(ef_low_rank_matvec, &factors);
        both.cols = 130;
        both.memory = (int32_t)((char *)memory.product - (char *)memory.x);
        product64(&plain, inner, expected);
        ef_apply(&both, memory.x, y);
        CHECK_EQUAL(memcmp(memory.product, inner, 3 * sizeof *inner), 0);
        CHECK_EQUAL(memcmp(y, expected, sizeof y), 0);
    }
}

/* Delta updates: y is the dense product of x_hat, which follows x by whole groups. */
enum { MEMORY = 2 * MAX_ROWS + 16 + MAX_COLS + 4 };

static int16_t x_hat[MAX_COLS];

static void hold(const int16_t *x, int32_t threshold, unsigned group) {
    for (unsigned first = 0; first < plain.cols; first += group) {
        int moved = 0;
        for (unsigned i = first; i < first + group && i < plain.cols; i++)
            moved |= abs(x[i] - x_hat[i]) >= threshold;
        for (unsigned i = first; moved && i < first + group && i < plain.cols; i++)
            x_hat[i] = x[i];
    }
}

static void check_delta(ef_matrix matrix, unsigned padded_rows) {
    static const uint16_t thresholds[] = {1, 2, 300, 32767, 65535};
    static const uint8_t groups[] = {1, 2, 3, 8, 255};
    for (unsigned i = 0; i < 25; i++) {
        struct {
            int16_t x[MAX_COLS];
            int32_t memory[MEMORY];
        } model;
        int16_t y[MAX_ROWS], expected[MAX_ROWS];
        memset(&model, 0, sizeof model);
        memset(x_hat, 0, sizeof x_hat);
        for (unsigned row = 0; padded_rows && row < plain.rows; row++)
            model.memory[row] = plain.bias[row];
        matrix.memory = (int32_t)((char *)model.memory - (char *)model.x);
        matrix.threshold = thresholds[i % 5];
        matrix.group = groups[i / 5];
        for (unsigned step = 0; step < 12; step++) {
            for (unsigned k = 0; k < plain.cols; k++) {
                const int32_t near = x_hat[k] + draw_in(-1, 1) * (matrix.threshold - draw_in(0, 1));
                model.x[k] =
                    (int16_t)clip64(draw() % 4 ? near : draw_in(-32768, 32767), -32768, 32767);
            }
            hold(model.x, matrix.threshold, matrix.group);
            product64(&plain, x_hat, expected);
            ef_apply(&matrix, model.x, y);
            CHECK_EQUAL(memcmp(y, expected, plain.rows * sizeof *y), 0);
            CHECK_EQUAL(memcmp(model.memory + padded_rows, x_hat, plain.cols * sizeof *x_hat), 0);
        }
    }
}

static void delta_by_a_dense_product_of_what_is_held(void) {
    for (unsigned shape = 0; shape < 5; shape++) {
        draw_matrix(shape, 127, 1);
        int8_t weights[MAX_ROWS * 40];
        for (unsigned row = 0; row < plain.rows; row++)
            memcpy(weights + row * plain.cols, plain.weight[row], plain.cols);
        const ef_matrix dense = matrix_of(ef_matvec_s8_s16, weights);
        check_delta(matrix_of(ef_hold_matvec, &dense), 0);
    }
}

/* More columns than the kernel lists at a time. */
static void delta_by_sums_that_are_kept(void) {
    for (unsigned shape = 0; shape < SHAPES; shape++) {
        draw_matrix(shape, 127, 1);
        const unsigned padded = ef_round_up(plain.rows);
        int32_t *weights = calloc(plain.rows + padded * plain.cols / 4 + 1, sizeof *weights);
        memcpy(weights, plain.multiplier, plain.rows * sizeof *weights);
        int8_t *column = (int8_t *)(weights + plain.rows);
        for (unsigned col = 0; col < plain.cols; col++, column += padded)
            for (unsigned row = 0; row < plain.rows; row++)
                column[row] = plain.weight[row][col];
        check_delta(matrix_of(ef_delta_matvec_s8_s16, weights), padded);
        free(weights);
    }
}

/* Blocks of a column that moved, some of them far from the first row, some columns empty. */
static void delta_of_sparse_columns(void) {
    for (unsigned shape = 0; shape < SHAPES; shape++) {
        draw_matrix(shape, 127, 6);
        const unsigned head = plain.rows + plain.cols + 1, groups = (plain.rows + 7) / 8;
        int32_t *weights = calloc(head + 9 * groups * plain.cols / 4 + 1, sizeof *weights);
        int8_t *blocks = (int8_t *)(weights + head), *at = blocks;
        memcpy(weights, plain.multiplier, plain.rows * sizeof *weights);
        for (unsigned col = 0; col < plain.cols; col++) {
            unsigned last = 0;
            weights[plain.rows + col] = (int32_t)(at - blocks);
            for (unsigned group = 0; group < groups; group++) {
                int8_t block[8] = {0};
                int filled = 0;
                for (unsigned i = 0; i < 8 && 8 * group + i < plain.rows; i++)
                    filled |= block[i] = plain.weight[8 * group + i][col];
                if (!filled)
                    continue;
                *at++ = (int8_t)(group - last);
                memcpy(at, block, 8);
                at += 8;
                last = group;
            }
        }
        weights[plain.rows + plain.cols] = (int32_t)(at - blocks);
        check_delta(matrix_of(ef_delta_matvec_sparse_8x1_s8_s16, weights), 8 * groups);
        free(weights);
    }
}

int main(void) {
    int8_row_by_row();
    int4_two_columns_per_byte();
    sparse_columns_of_eight_rows();
    sparse_weights();
    spikes_add_columns();
    low_rank_is_two_products();
    delta_by_a_dense_product_of_what_is_held();
    delta_by_sums_that_are_kept();
    delta_of_sparse_columns();
    CHECK(saturated[0] > 100 && saturated[1] > 100);
    return check_result();
}

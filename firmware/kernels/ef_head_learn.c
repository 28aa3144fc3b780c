/* A read-out trained on stored examples; see edgeflow/program/nodes/head_linear.py. */
#include "ef_kernels.h"
#include "ef_math.h"

#define HALF_RANGE (((int32_t)1 << 29) - 1)
#define MOST_MOVE (1 << 12)

/* exp(-distance) in Q0.15, as model_confidence() has it */
static int32_t exponential(const ef_adaptive *cell, int32_t distance) {
    const uint32_t half = ((uint32_t)1 << cell->exponent_shift) >> 1;
    const uint32_t exponent = ((uint32_t)distance * cell->exponent + half) >> cell->exponent_shift;
    const uint32_t whole = exponent >> 12;
    return whole < 16 ? (int32_t)(ef_half_power(exponent & 4095u) >> whole) : 0;
}

/* One step of gradient descent on an example. */
static void descend(const ef_adaptive *cell, const ef_learner *learner, const int16_t *x,
                    unsigned label) {
    const unsigned inputs = cell->inputs, outputs = cell->outputs;
    const int32_t limit = (int32_t)cell->limit * 65536;
    const int32_t half = (int32_t)1 << (cell->shift - 1u);
    int32_t *masters = learner->masters;
    int16_t *y = learner->answer, largest = -32768;
    for (unsigned i = 0; i < outputs; i++) {
        const int32_t sum = ef_head_product(masters + i * inputs, x, inputs, learner->bias[i]);
        y[i] = ef_requantize(sum, cell->multiplier, 1);
        largest = y[i] > largest ? y[i] : largest;
    }
    int32_t total = 0;
    for (unsigned i = 0; i < outputs; i++) {
        const int32_t power = exponential(cell, (int32_t)largest - y[i]);
        y[i] = (int16_t)(uint16_t)power; /* up to 2^15 */
        total += power;
    }
    const int32_t share = ((int32_t)1 << 30) / total;
    for (unsigned i = 0; i < outputs; i++, masters += inputs) {
        int32_t error = ((uint16_t)y[i] * share) >> 15;
        error -= i == label ? 32768 : 0;
        const int32_t step = (error * (int32_t)cell->rate + half) >> cell->shift;
        const int32_t move = ef_clip(step, -MOST_MOVE, MOST_MOVE);
        if (move == 0)
            continue;
        ef_head_move(masters, x, inputs, move, limit);
        learner->bias[i] = ef_clip(learner->bias[i] - move * 64, -HALF_RANGE, HALF_RANGE);
    }
}

/* As of ef_adaptive_right, on a stored example. */
static int right(const ef_adaptive *cell, const ef_learner *learner, unsigned label,
                 unsigned slot) {
    const size_t place = ((size_t)label * cell->keep + slot) * cell->inputs;
    int16_t *x = learner->answer + ef_round_up(cell->outputs); /* aligned, as kernels need it */
    memcpy(x, learner->examples + place, cell->inputs * sizeof *x);
    return ef_adaptive_right(cell, learner, x, label);
}

/* Trains from the trained rows on. */
static void train(const ef_adaptive *cell, const ef_learner *learner) {
    const size_t weights = (size_t)cell->outputs * cell->inputs;
    for (size_t i = 0; i < weights; i++)
        learner->masters[i] = (int32_t)cell->base[i] * 65536;
    ef_copy_flash(learner->bias, cell->base_bias, cell->outputs * sizeof *cell->base_bias);
    for (unsigned pass = 0; pass < cell->passes; pass++)
        for (unsigned slot = 0; slot < cell->keep; slot++)
            for (unsigned i = 0; i < cell->outputs; i++) {
                const size_t place = ((size_t)i * cell->keep + slot) * cell->inputs;
                if (learner->count[i] > (int16_t)slot)
                    descend(cell, learner, learner->examples + place, i);
            }
    for (size_t i = 0; i < weights; i++)
        learner->weights[i] = (int16_t)(learner->masters[i] >> 16);
    int better = 0;
    for (unsigned i = 0; i < cell->outputs; i++)
        for (unsigned slot = 0; slot < cell->keep; slot++)
            if (learner->count[i] > (int16_t)slot)
                better += right(cell, learner, i, slot);
    *learner->active = better >= 0;
}

void ef_head_learn(const ef_adaptive *cell, const ef_learner *learner, unsigned label) {
    const unsigned slot = (unsigned)learner->count[label] % cell->keep;
    int16_t *example = learner->examples + ((size_t)label * cell->keep + slot) * cell->inputs;
    memcpy(example, learner->seen, cell->inputs * sizeof *example);
    if (++learner->count[label] == 2 * cell->keep)
        learner->count[label] = cell->keep;
    train(cell, learner);
}

void ef_head_restore(const ef_adaptive *cell, const ef_learner *learner) {
    const size_t weights = (size_t)cell->outputs * cell->inputs;
    const int32_t most = cell->largest;
    int known = 0;
    for (unsigned i = 0; i < cell->outputs; i++) {
        learner->count[i] = (int16_t)ef_clip(learner->count[i], 0, 2 * cell->keep - 1);
        known |= learner->count[i];
    }
    for (size_t i = 0; i < weights * cell->keep; i++)
        learner->examples[i] = (int16_t)ef_clip(learner->examples[i], -most, most);
    if (known) {
        train(cell, learner);
        return;
    }
    *learner->active = 0;
    memset(learner->weights, 0, weights * sizeof *learner->weights);
    memset(learner->bias, 0, cell->outputs * sizeof *learner->bias);
}

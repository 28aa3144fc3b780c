/* Rows that move with the means of classes; see edgeflow/program/nodes/prototype_linear.py. */
#include "ef_kernels.h"
#include "ef_math.h"

#define FULL 16
#define HALF_RANGE (((int32_t)1 << 29) - 1)
#define MOST_SCORE 8
#define MOST_MOVE 65535

/* Makes the row of a class from its sum and count. */
static void move(const ef_adaptive *cell, const ef_learner *learner, unsigned label) {
    const size_t first = (size_t)label * cell->inputs;
    const int16_t *sums = learner->examples + first;
    const EF_FLASH int16_t *prototype = cell->prototypes + first, *base = cell->base + first;
    int16_t *weights = learner->weights + first;
    const int32_t count = learner->count[label], rate = cell->rates[count], limit = cell->limit;
    const int32_t half = (int32_t)1 << (cell->shift - 1u), gain = cell->gain;
    int64_t fall = 0;
    for (unsigned j = 0; j < cell->inputs; j++) {
        const int32_t away = sums[j] - count * prototype[j];
        const int32_t moved = ef_clip((away * rate + (1 << 9)) >> 10, -MOST_MOVE, MOST_MOVE);
        const int32_t change = (moved * gain + half) >> cell->shift;
        fall += (int64_t)change * ((int32_t)prototype[j] * 32 + moved);
        weights[j] = (int16_t)ef_clip(base[j] + change, -limit, limit);
    }
    const int64_t bias = cell->base_bias[label] - (fall >> 5);
    learner->bias[label] = (int32_t)(bias > HALF_RANGE    ? HALF_RANGE
                                     : bias < -HALF_RANGE ? -HALF_RANGE
                                                          : bias);
}

static int known(const ef_adaptive *cell, const ef_learner *learner) {
    for (unsigned i = 0; i < cell->outputs; i++)
        if (learner->count[i] != 0)
            return 1;
    return 0;
}

/* The trained rows, for the classes of which nothing is known. */
static void begin(const ef_adaptive *cell, const ef_learner *learner) {
    const size_t weights = (size_t)cell->outputs * cell->inputs;
    ef_copy_flash(learner->weights, cell->base, weights * sizeof *cell->base);
    ef_copy_flash(learner->bias, cell->base_bias, cell->outputs * sizeof *cell->base_bias);
}

void ef_prototypes_learn(const ef_adaptive *cell, const ef_learner *learner, unsigned label) {
    int16_t *sums = learner->examples + (size_t)label * cell->inputs;
    if (learner->count[label] != 0) { /* what is not known yet cannot be right */
        const int better = ef_adaptive_right(cell, learner, learner->seen, label);
        *learner->score = (int16_t)ef_clip(*learner->score + better, -MOST_SCORE, MOST_SCORE);
    }
    if (!known(cell, learner))
        begin(cell, learner);
    for (unsigned j = 0; j < cell->inputs; j++)
        sums[j] = (int16_t)ef_sat16((int32_t)sums[j] + learner->seen[j]);
    if (++learner->count[label] >= FULL) {
        learner->count[label] /= 2;
        for (unsigned j = 0; j < cell->inputs; j++)
            sums[j] = (int16_t)(((int32_t)sums[j] + 1) >> 1);
    }
    move(cell, learner, label);
    *learner->active = *learner->score >= 0;
}

void ef_prototypes_restore(const ef_adaptive *cell, const ef_learner *learner) {
    *learner->score = (int16_t)ef_clip(*learner->score, -MOST_SCORE, MOST_SCORE);
    for (unsigned i = 0; i < cell->outputs; i++)
        learner->count[i] = (int16_t)ef_clip(learner->count[i], 0, FULL - 1);
    *learner->active = (int16_t)(known(cell, learner) && *learner->score >= 0);
    const size_t weights = (size_t)cell->outputs * cell->inputs;
    if (!known(cell, learner)) {
        memset(learner->weights, 0, weights * sizeof *learner->weights);
        memset(learner->bias, 0, cell->outputs * sizeof *learner->bias);
        return;
    }
    begin(cell, learner);
    for (unsigned i = 0; i < cell->outputs; i++)
        move(cell, learner, i);
}

/* The guard of a read-out that learns; see edgeflow/program/nodes/adaptive_linear.py. */
#include "ef_kernels.h"
#include "ef_math.h"

#define MOST_SCORE 8

/* The largest of y, the first of equal ones. */
static unsigned decide(const int16_t *y, unsigned size) {
    unsigned best = 0;
    for (unsigned i = 1; i < size; i++)
        if (y[i] > y[best])
            best = i;
    return best;
}

void ef_adaptive_judge(const ef_adaptive *cell, const ef_learner *learner, unsigned label) {
    const unsigned outputs = cell->outputs;
    int known = 0;
    for (unsigned i = 0; i < outputs; i++)
        known |= learner->count[i];
    if (!known)
        return;
    cell->matrix->matvec(cell->matrix, learner->seen, learner->answer);
    const int trained = decide(learner->answer, outputs) == label;
    ef_adaptive_product(cell, learner->seen, learner->bias, learner->weights, learner->answer);
    const int learned = decide(learner->answer, outputs) == label;
    *learner->score =
        (int16_t)ef_clip(*learner->score + learned - trained, -MOST_SCORE, MOST_SCORE);
}

/* For the guard of a read-out that learns; see edgeflow/program/nodes/adaptive_linear.py. */
#include "ef_kernels.h"

/* The largest of y, the first of equal ones. */
static unsigned decide(const int16_t *y, unsigned size) {
    unsigned best = 0;
    for (unsigned i = 1; i < size; i++)
        if (y[i] > y[best])
            best = i;
    return best;
}

int ef_adaptive_right(const ef_adaptive *cell, const ef_learner *learner, const int16_t *x,
                      unsigned label) {
    int16_t *y = learner->answer;
    cell->matrix->matvec(cell->matrix, x, y);
    const int trained = decide(y, cell->outputs) == label;
    ef_adaptive_product(cell, x, learner->bias, learner->weights, y);
    return (decide(y, cell->outputs) == label) - trained;
}

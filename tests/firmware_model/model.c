#include "model.h"

#include "ef_profile.h"

static int16_t add(int16_t a, int16_t b) {
    int32_t sum = (int32_t)a + b;
    return (int16_t)(sum > INT16_MAX ? INT16_MAX : sum < INT16_MIN ? INT16_MIN : sum);
}

void model_init(model_t *model) {
    model_reset(model);
}

void model_reset(model_t *model) {
    *model = (model_t){0};
}

void model_step(model_t *model, const int16_t *x, int16_t *y) {
    if (x[0] == INT16_MIN) {
        __builtin_trap(); /* tests ask for a crash with this sample */
    }
    for (int i = 0; i < MODEL_INPUTS; i++) {
        model->sums[i] = add(model->sums[i], x[i]);
        y[i] = model->sums[i];
    }
    EF_PROFILE_LAYER();
    model->steps = add(model->steps, 1);
    y[MODEL_INPUTS] = model->steps;
    EF_PROFILE_LAYER();
}

/*
 * What model.js calls: one model, and where it reads samples and writes outputs. Another stream is
 * another instance of the module, which has a memory of its own.
 */
#include "model.h"

#include <string.h>

#define EXPORT(name) __attribute__((export_name(#name)))

static model_t model;
static float raw[MODEL_INPUTS];
static int16_t x[MODEL_INPUTS], y[MODEL_OUTPUTS];

EXPORT(raw) float *raw_place(void) {
    return raw;
}

EXPORT(x) int16_t *x_place(void) {
    return x;
}

EXPORT(y) int16_t *y_place(void) {
    return y;
}

EXPORT(reset) void reset(void) {
    model_reset(&model);
}

EXPORT(quantize) void quantize(void) {
    model_quantize(raw, x);
}

EXPORT(step) void step(void) {
    model_step(&model, x, y);
}

#ifdef HAS_CLASSES
EXPORT(decide) int decide(void) {
    return model_decide(y);
}

EXPORT(confidence) int confidence(void) {
    return model_confidence(y);
}
#endif

#ifdef HAS_EARLY_EXIT
EXPORT(decided) int decided(void) {
    return model_decided(&model);
}
#endif

#ifdef MODEL_LEARNED_SIZE
static uint8_t blob[MODEL_LEARNED_SIZE];

EXPORT(learned) uint8_t *learned_place(void) {
    return blob;
}

EXPORT(learnedSize) uint32_t learned_size(void) {
    return model_learned_size();
}

EXPORT(learn) int learn(int label) {
    return model_learn(&model, label);
}

EXPORT(forget) void forget(void) {
    model_forget(&model);
}

EXPORT(save) void save(void) {
    model_save(&model, blob);
}

EXPORT(load) int load(void) {
    return model_load(&model, blob);
}
#endif

void *memcpy(void *to, const void *from, size_t size) {
    char *target = to;
    const char *source = from;
    for (size_t i = 0; i < size; i++)
        target[i] = source[i];
    return to;
}

void *memmove(void *to, const void *from, size_t size) {
    char *target = to;
    const char *source = from;
    if (target < source)
        return memcpy(to, from, size);
    while (size-- > 0)
        target[size] = source[size];
    return to;
}

void *memset(void *to, int value, size_t size) {
    char *target = to;
    for (size_t i = 0; i < size; i++)
        target[i] = (char)value;
    return to;
}

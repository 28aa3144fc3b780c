/* A stand-in for a generated library: running sums, so that a lost or doubled step shows. */
#ifndef MODEL_H
#define MODEL_H

#include <stdint.h>

#define MODEL_INPUTS 6
#define MODEL_OUTPUTS 7
#define MODEL_WINDOW 40
#ifndef MODEL_HASH
#define MODEL_HASH {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0}
#endif

typedef struct {
    int16_t sums[MODEL_INPUTS];
    int16_t steps;
} model_t;

void model_init(model_t *model);
void model_reset(model_t *model);
void model_step(model_t *model, const int16_t *x, int16_t *y);

#endif

/* A layer of its own; see edgeflow/program/nodes/squash.py. */
#include "ef_squash.h"

void ef_sigmoid_step(const ef_squash *cell, const int16_t *x, int16_t *y) {
    ef_squash_values(cell, ef_table_sigmoid, x, y);
}

/* Spiking Legendre Memory Unit; see edgeflow/program/nodes/l2mu.py. */
#include <string.h>

#include "ef_kernels.h"
#include "ef_math.h"

/* Steps the neurons from `first` on: as many as the matrix has rows. */
static void population(const ef_l2mu *cell, const ef_matrix *matrix, unsigned first,
                       const int16_t *x, int16_t *j, int16_t *u, int16_t *s, int16_t *current) {
    const ef_lif lif = {
        matrix,
        0,
        cell->alpha ? cell->alpha + first : 0,
        cell->beta + first,
        cell->threshold + first,
        matrix->rows,
        cell->reset,
    };
    ef_lif_step(&lif, x, j ? j + first : 0, u + first, s, current);
}

void ef_l2mu_step(const ef_l2mu *cell, const int16_t *x, int16_t *j, int16_t *u, int16_t *e,
                  int16_t *m, int16_t *h, int16_t *scratch) {
    const unsigned size = cell->encode->rows, order = cell->transition->rows;
    const unsigned hidden = cell->update->rows, memory = size * order;
    const unsigned inputs = cell->encode->cols - hidden - memory;
    int16_t *all = scratch; /* x, h, m */
    int16_t *pair = all + ef_round_up(cell->encode->cols);
    int16_t *current = pair + ef_round_up(order + 1u);
    memcpy(all, x, inputs * sizeof *x);
    memcpy(all + inputs, h, hidden * sizeof *h);
    memcpy(all + inputs + hidden, m, memory * sizeof *m);
    population(cell, cell->encode, 0, all, j, u, e, current);
    for (unsigned k = 0; k < size; k++) {
        int16_t *spikes = m + k * order;
        memcpy(pair, spikes, order * sizeof *spikes);
        pair[order] = e[k];
        population(cell, cell->transition, size + k * order, pair, j, u, spikes, current);
    }
    memcpy(all + inputs + hidden, m, memory * sizeof *m);
    population(cell, cell->update, size + memory, all, j, u, h, current);
}

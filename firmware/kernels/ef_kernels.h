/* Every kernel, one a file. Buffers belong to the caller; nothing is allocated or kept. */
#ifndef EF_KERNELS_H
#define EF_KERNELS_H

#include <stdint.h>

typedef struct ef_matrix ef_matrix;

/*
 * y = requantize(W x + b), int16 in and out.
 * x must be readable up to cols rounded up to a multiple of 4: a kernel may read, never use, the
 * rest. y gets exactly rows values. x is 4-byte aligned; x and y do not overlap.
 */
typedef void ef_matvec(const ef_matrix *matrix, const int16_t *x, int16_t *y);

struct ef_matrix {
    ef_matvec *matvec;         /* the kernel that `weights` was packed for */
    const void *weights;       /* 4-byte aligned */
    const int32_t *bias;       /* [rows], or null where `weights` holds it */
    const int32_t *multiplier; /* [rows], or null likewise; >= 0 */
    uint16_t rows;
    uint16_t cols;
    uint8_t shift; /* 1..15 */
};

ef_matvec ef_matvec_s8_s16;          /* any core: int8 row by row */
ef_matvec ef_matvec_s8_s16_dsp;      /* Arm DSP extension: a stream of 4 x 4 tiles */
ef_matvec ef_matvec_pair_s8_s16_dsp; /* the same, two rows a halfword: where 23 bits suffice */

/* GRU step; h is read and replaced. Gate order r, z, n. */
typedef struct {
    const ef_matrix *input;     /* [3 * hidden, inputs] */
    const ef_matrix *recurrent; /* [3 * hidden, hidden] */
    uint16_t hidden;
    uint8_t state_bits; /* 8..16 */
} ef_gru;

/* scratch: 6 * hidden int16 */
void ef_gru_step(const ef_gru *gru, const int16_t *x, int16_t *h, int16_t *scratch);

/* Copies size values, clipped to [-limit, limit]. */
void ef_clamp_s16(const int16_t *x, int16_t *y, unsigned size, int32_t limit);

/* Q0.15 at -8, -8 + 1/16, ..., 8 */
extern const int16_t ef_table_sigmoid[257];
extern const int16_t ef_table_tanh[257];

#endif

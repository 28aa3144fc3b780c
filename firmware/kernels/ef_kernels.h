/*
 * Every kernel, one per file. Buffers belong to the caller; nothing is allocated or kept. States
 * have room for an even number of values: the one behind an odd number may be overwritten.
 */
#ifndef EF_KERNELS_H
#define EF_KERNELS_H

#include <stdint.h>

#include "ef_flash.h"

typedef struct ef_matrix ef_matrix;

/*
 * y = requantize(W x + b), int16 in and out.
 * x must be readable up to cols rounded up to a multiple of 4: a kernel may read, never use, the
 * rest. y gets exactly rows values. x is 4-byte aligned; x and y do not overlap.
 */
typedef void ef_matvec(const ef_matrix *matrix, const int16_t *x, int16_t *y);

/*
 * A delta matrix keeps a memory in model_t, at a distance from x: what its kernel says, then x_hat
 * [cols rounded up to a multiple of 4]. It may move when model_t does.
 */
struct ef_matrix {
    ef_matvec *matvec;                  /* the kernel that `weights` was packed for */
    const EF_FLASH void *weights;       /* 4-byte aligned */
    const EF_FLASH int32_t *bias;       /* [rows], or null where `weights` holds it */
    const EF_FLASH int32_t *multiplier; /* [rows], or null as bias; >= 0 */
    uint16_t rows;
    uint16_t cols;
    uint8_t shift;      /* 1..15 */
    uint8_t group;      /* columns that are updated together */
    uint16_t threshold; /* 1..65535; 0: dense */
    int32_t memory;     /* bytes from x; of a matrix of low rank: the factor's result */
};

ef_matvec ef_apply; /* by the kernel that the matrix names */

/* A matrix of low rank: x is multiplied by `factor`, and the result by `left`. */
typedef struct {
    const ef_matrix *factor;
    const ef_matrix *left;
} ef_low_rank;

ef_matvec ef_low_rank_matvec; /* any core: the ef_low_rank at `weights` */

ef_matvec ef_hold_matvec; /* any core: x_hat, then the dense matrix at `weights` */

#include "ef_matvec.h" /* those that weights are packed for */

#include "ef_cells.h"

/* Returns the heads' pre-activations in Q3.12, somewhere in scratch. */
int16_t *ef_cfc_backbone(const ef_cfc *cfc, const int16_t *x, const int16_t *h, int16_t *scratch);

/* Memory with linear dynamics: m += round((transition high(m) + drive u) >> shift), row by row. */
typedef struct {
    const EF_FLASH int16_t *transition; /* [order * order] */
    const EF_FLASH int16_t *drive;      /* [order] */
    const EF_FLASH int16_t *shift;      /* [order], 1..30 */
    unsigned order;
    unsigned fraction; /* bits of m below its high part, 1..15 */
} ef_legendre;

/* m [order] is read and replaced, within +-(32767 << fraction); scratch: order int16 */
void ef_legendre_step(const ef_legendre *memory, int32_t u, int32_t *m, int16_t *scratch);

/* Takes x into the frame, whose pairs times the window are z [size], in the order of the cell. */
void ef_window_frame(const ef_log_mel *cell, const int16_t *x, int16_t *frame, int32_t *z);

/*
 * Bins of `size` real values, in place: their pairs are complex values of at most 2^23.5, in the
 * order of edgeflow.program.fourier. Bin k in 1..size / 2 - 1 is at z[2 * k], its imaginary part,
 * whose sign means nothing, behind it. Returns all bits below the signs.
 */
uint32_t ef_real_fft(int32_t *z, unsigned size, const EF_FLASH int16_t *twiddle);

/* Effect of a spike on the membrane: threshold subtracted, decayed part lost, zero for a step. */
enum { EF_LIF_SUBTRACT, EF_LIF_ZERO, EF_LIF_REFRACTORY };

/* y = x / 2^shift, half rounds up, clipped to 0..limit. */
void ef_relu_s16(const int16_t *x, int16_t *y, unsigned size, unsigned shift, int32_t limit);

/* Copies size values, clipped to [-limit, limit]. */
void ef_clamp_s16(const int16_t *x, int16_t *y, unsigned size, int32_t limit);

/* Memory of a read-out that learns: members of model_t, as edgeflow/program/nodes names them. */
typedef struct {
    const int16_t *seen;
    int16_t *answer;
    int32_t *masters; /* or null */
    int32_t *bias;
    int16_t *weights;
    int16_t *active;
    int16_t *examples;
    int16_t *count;
    int16_t *score; /* or null */
} ef_learner;

/* y = requantize(V x + bias), of learned rows */
void ef_adaptive_product(const ef_adaptive *cell, const int16_t *x, const int32_t *bias,
                         const int16_t *weights, int16_t *y);

/* 1 if only the learned rows decide right on x, -1 if only the trained ones do, else 0. x is as a
   matvec takes it. */
int ef_adaptive_right(const ef_adaptive *cell, const ef_learner *learner, const int16_t *x,
                      unsigned label);

/* Takes an example of a class; restores what is derived of learned values, in range or not. */
void ef_prototypes_learn(const ef_adaptive *cell, const ef_learner *learner, unsigned label);
void ef_prototypes_restore(const ef_adaptive *cell, const ef_learner *learner);
void ef_head_learn(const ef_adaptive *cell, const ef_learner *learner, unsigned label);
void ef_head_restore(const ef_adaptive *cell, const ef_learner *learner);

/* sum + (a row of masters >> 16) x, and the row's step: masters - move x, within +-limit < 2^30;
   |move| <= 2^12, x of 12 bits */
int32_t ef_head_product(const int32_t *masters, const int16_t *x, unsigned inputs, int32_t sum);
void ef_head_move(int32_t *masters, const int16_t *x, unsigned inputs, int32_t move, int32_t limit);

void ef_nlms_restore(const ef_nlms *cell, int32_t *errors, int32_t *masters);

/* A part of a model that is saved, of so many bytes. */
typedef struct {
    size_t offset;
    size_t size;
} ef_part;

/* Version, hash, parts, CRC-32 of all of it, little-endian. Load returns 0, or -1 if they differ.
 */
void ef_learned_save(const void *model, const ef_part *parts, unsigned count, uint32_t version,
                     const uint8_t *hash, uint8_t *blob);
int ef_learned_load(void *model, const ef_part *parts, unsigned count, uint32_t version,
                    const uint8_t *hash, const uint8_t *blob);

/* Q0.15 at -8, -8 + 1/16, ..., 8 */
extern const EF_FLASH int16_t ef_table_sigmoid[257];
extern const EF_FLASH int16_t ef_table_tanh[257];
/* Q3.12 */
extern const EF_FLASH int16_t ef_table_log_sigmoid[257];
extern const EF_FLASH int16_t ef_table_decay[257]; /* x exp(-|x|) */
/* Q0.15 at 1, 1 + 1/256, ..., 2 */
extern const EF_FLASH int16_t ef_table_reciprocal[257];
extern const EF_FLASH int16_t ef_table_log2[257];

#include "ef_layout.h" /* compares the offsets that assembler code uses */

#endif

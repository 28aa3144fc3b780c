/*
 * Every kernel, one a file. Buffers belong to the caller; nothing is allocated or kept. States have
 * room for an even number of values: the one behind an odd number may be overwritten.
 */
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

/*
 * A delta matrix keeps a memory in model_t, at a distance from x: what its kernel says, then x_hat
 * [cols rounded up to a multiple of 4]. It may move when model_t does.
 */
struct ef_matrix {
    ef_matvec *matvec;         /* the kernel that `weights` was packed for */
    const void *weights;       /* 4-byte aligned */
    const int32_t *bias;       /* [rows], or null where `weights` holds it */
    const int32_t *multiplier; /* [rows], or null likewise; >= 0 */
    uint16_t rows;
    uint16_t cols;
    uint8_t shift;      /* 1..15 */
    uint8_t group;      /* columns that are updated together */
    uint16_t threshold; /* 1..65535; 0: dense */
    int32_t memory;     /* bytes from x; of a matrix of low rank: the factor's result */
};

ef_matvec ef_apply; /* by the kernel that the matrix names */

/* A matrix of low rank: what x is multiplied by first, then what that product is. */
typedef struct {
    const ef_matrix *factor;
    const ef_matrix *left;
} ef_low_rank;

ef_matvec ef_low_rank_matvec; /* any core: the ef_low_rank at `weights` */

ef_matvec ef_hold_matvec; /* any core: x_hat, then the dense matrix at `weights` */

#include "ef_matvec.h" /* those that weights are packed for */

/* GRU step; h is read and replaced. Gate order r, z, n. */
typedef struct {
    const ef_matrix *input;     /* [3 * hidden, inputs] */
    const ef_matrix *recurrent; /* [3 * hidden, hidden] */
    uint16_t hidden;
    uint8_t state_bits; /* 8..16 */
} ef_gru;

/* scratch: 6 * hidden int16 */
void ef_gru_step(const ef_gru *gru, const int16_t *x, int16_t *h, int16_t *scratch);

/* GRU step with the reset gate before the product; h is read and replaced. */
typedef struct {
    const ef_matrix *input;     /* [3 * hidden, inputs]: r, z, n */
    const ef_matrix *recurrent; /* [2 * hidden, hidden]: r, z */
    const ef_matrix *candidate; /* [hidden, hidden], reads r h */
    uint16_t hidden;
    uint8_t state_bits; /* 8..16 */
} ef_gru_reset_before;

/* scratch: hidden rounded up to a multiple of 4, and 5 * hidden int16; 4-byte aligned */
void ef_gru_reset_before_step(const ef_gru_reset_before *gru, const int16_t *x, int16_t *h,
                              int16_t *scratch);

/* Simple recurrent step; h is read and replaced. */
typedef struct {
    const ef_matrix *input;     /* [hidden, inputs] */
    const ef_matrix *recurrent; /* [hidden, hidden] */
    uint16_t hidden;
    uint8_t state_bits;  /* 8..16 */
    uint8_t state_shift; /* activation to h, 0..15 */
    uint8_t relu;        /* 1: relu; 0: tanh */
} ef_rnn;

/* scratch: 2 * hidden int16 */
void ef_rnn_step(const ef_rnn *rnn, const int16_t *x, int16_t *h, int16_t *scratch);

/* LSTM step; h and c are read and replaced. Gate order i, f, g, o. */
typedef struct {
    const ef_matrix *input;     /* [4 * hidden, inputs] */
    const ef_matrix *recurrent; /* [4 * hidden, hidden] */
    uint16_t hidden;
    uint8_t state_bits;    /* 8..16 */
    uint8_t cell_fraction; /* one unit of c is 2^-cell_fraction; 8..15 */
} ef_lstm;

/* scratch: 8 * hidden + 1 int16 */
void ef_lstm_step(const ef_lstm *lstm, const int16_t *x, int16_t *h, int16_t *c, int16_t *scratch);

/* CfC step; h is read and replaced. Heads in the order f, g, t; a pure cell has one. */
typedef struct {
    const ef_matrix *input;     /* [rows, inputs] */
    const ef_matrix *recurrent; /* [rows, hidden] */
    const ef_matrix *second;    /* [units, units]: backbone layers, or null */
    const ef_matrix *third;
    const ef_matrix *heads; /* [3 * hidden or hidden, units]; null: the rows above are the heads */
    const int32_t *offset;  /* [hidden], pure: within 16 bits */
    const int32_t *gain;    /* [hidden], pure: within +-2^17 */
    uint16_t hidden;
    uint16_t buffer;       /* the most rows of a matrix, rounded up to a multiple of 4 */
    uint8_t gate;          /* 1: f and g are blended; 0: added; pure: 0 */
    uint8_t state_bits;    /* 8..16 */
    uint8_t backbone_bits; /* 8..16 */
} ef_cfc;

/* scratch: 2 * buffer int16, 8-byte aligned */
void ef_cfc_step(const ef_cfc *cfc, const int16_t *x, int16_t *h, int16_t *scratch);
void ef_cfc_pure_step(const ef_cfc *cfc, const int16_t *x, int16_t *h, int16_t *scratch);

/* Returns the heads' pre-activations in Q3.12, somewhere in scratch. */
int16_t *ef_cfc_backbone(const ef_cfc *cfc, const int16_t *x, const int16_t *h, int16_t *scratch);

/* Memory with linear dynamics: m += round((transition high(m) + drive u) >> shift), row by row. */
typedef struct {
    const int16_t *transition; /* [order * order] */
    const int16_t *drive;      /* [order] */
    const int16_t *shift;      /* [order], 1..30 */
    unsigned order;
    unsigned fraction; /* bits of m below its high part, 1..15 */
} ef_legendre;

/* m [order] is read and replaced, within +-(32767 << fraction); scratch: order int16 */
void ef_legendre_step(const ef_legendre *memory, int32_t u, int32_t *m, int16_t *scratch);

/* LMU step; h, m and v, what the memory adds to the next u, are read and replaced. */
typedef struct {
    const ef_matrix *input;     /* [memory_size + hidden, inputs] */
    const ef_matrix *recurrent; /* [memory_size + hidden, hidden], or without the first rows */
    const ef_matrix *memory;    /* [memory_size + hidden, memory_size * order], likewise */
    const int16_t *transition;
    const int16_t *drive;
    const int16_t *shift;
    uint16_t hidden;
    uint16_t order;
    uint16_t memory_size;
    uint8_t fraction;
    uint8_t read_shift; /* 1..30 */
    uint8_t read_bits;  /* 2..16 */
    uint8_t state_bits; /* 8..16 */
} ef_lmu;

/* scratch: memory_size * order and order, each rounded up to a multiple of 4, and
   3 * (memory_size + hidden) int16; 8-byte aligned */
void ef_lmu_step(const ef_lmu *lmu, const int16_t *x, int16_t *h, int32_t *m, int16_t *v,
                 int16_t *scratch);

/* LMU without weights on the state: y depends on x and m only. */
typedef struct {
    const ef_matrix *input;  /* [memory_size + outputs, inputs] */
    const ef_matrix *memory; /* [outputs, memory_size * order] */
    const int16_t *transition;
    const int16_t *drive;
    const int16_t *shift;
    uint16_t outputs;
    uint16_t order;
    uint16_t memory_size;
    uint8_t fraction;
    uint8_t read_shift;
    uint8_t read_bits;
    uint8_t state_bits;
} ef_lmu_feedforward;

/* scratch: as above, with memory_size + 2 * outputs int16 in the end */
void ef_lmu_feedforward_step(const ef_lmu_feedforward *lmu, const int16_t *x, int32_t *m,
                             int16_t *y, int16_t *scratch);

/* minGRU step; h is read and replaced, y is the output, apart from x. */
typedef struct {
    const ef_matrix *input; /* [2 * hidden, inputs]: z, candidate */
    uint16_t hidden;
    uint8_t state_bits;   /* width of y, 8..16 */
    uint8_t output_shift; /* h to y, 1..30 */
} ef_mingru;

/* scratch: 2 * hidden int16 */
void ef_mingru_step(const ef_mingru *cell, const int16_t *x, int32_t *h, int16_t *y,
                    int16_t *scratch);

/* minLSTM step, likewise. */
typedef struct {
    const ef_matrix *input; /* [3 * hidden, inputs]: f, i, candidate */
    uint16_t hidden;
    uint8_t state_bits;
    uint8_t output_shift;
    uint8_t gate_shift; /* f and i to Q3.12, 0..4 */
} ef_minlstm;

/* scratch: 3 * hidden int16 */
void ef_minlstm_step(const ef_minlstm *cell, const int16_t *x, int32_t *h, int16_t *y,
                     int16_t *scratch);

/* What a spike does to the membrane: threshold subtracted, decayed part lost, zero for a step. */
enum { EF_LIF_SUBTRACT, EF_LIF_ZERO, EF_LIF_REFRACTORY };

/* Integrate-and-fire step; j (null without alpha), u and s, the spikes, are read and replaced. */
typedef struct {
    const ef_matrix *input;     /* [hidden, inputs] */
    const ef_matrix *recurrent; /* [hidden, hidden], or null */
    const int16_t *alpha;       /* Q0.15 [hidden], or null: no synaptic current */
    const int16_t *beta;        /* Q0.15 [hidden] */
    const int16_t *threshold;   /* [hidden] */
    uint16_t hidden;
    uint8_t reset;
} ef_lif;

/* scratch: hidden int16, twice that if recurrent */
void ef_lif_step(const ef_lif *lif, const int16_t *x, int16_t *j, int16_t *u, int16_t *s,
                 int16_t *scratch);

/* Spiking LMU step; all states are read and replaced. j (null without alpha) and u hold the
   neurons of e, m and h, in that order; e, m and h are spikes. */
typedef struct {
    const ef_matrix *encode;     /* [size, inputs + hidden + size * order], reads x, h, m */
    const ef_matrix *transition; /* [order, order + 1], reads a memory and its e */
    const ef_matrix *update;     /* [hidden, inputs + hidden + size * order], reads x, h, m */
    const int16_t *alpha;        /* Q0.15, or null: no synaptic current */
    const int16_t *beta;         /* Q0.15 */
    const int16_t *threshold;
    uint8_t reset;
} ef_l2mu;

/* scratch: inputs + hidden + size * order and order + 1, each rounded up to a multiple of 4, and
   the most rows of a matrix; 4-byte aligned */
void ef_l2mu_step(const ef_l2mu *cell, const int16_t *x, int16_t *j, int16_t *u, int16_t *e,
                  int16_t *m, int16_t *h, int16_t *scratch);

/* Sum over time with a leak; sum is read and replaced. */
typedef struct {
    uint16_t size;
    uint8_t bits;   /* of x */
    uint16_t decay; /* Q0.15, up to 32768: no leak */
    uint8_t shift;  /* 0..15 */
} ef_accumulate;

void ef_accumulate_step(const ef_accumulate *cell, const int16_t *x, int32_t *sum, int16_t *y);

/* Cut-off: holds the outputs once the largest leads by the threshold. */
typedef struct {
    uint16_t size;     /* at least 2 */
    int32_t threshold; /* 0..65536 */
    uint16_t start;    /* samples read at least, 1..32767 */
} ef_cutoff;

/*
 * held [size] becomes x; count, the samples read, becomes -1 when that decides. Not to be called
 * again before both are cleared.
 */
void ef_cutoff_step(const ef_cutoff *cell, const int16_t *x, int16_t *held, int16_t *count);

/* Delay line: y gets taps samples, dilation apart, the oldest first and x last. */
typedef struct {
    uint16_t size; /* values of a sample */
    uint8_t bits;
    uint16_t taps; /* at least 2 */
    uint16_t dilation;
} ef_taps;

/* past [(taps - 1) * dilation * size] is read and replaced; y [taps * size] is apart from x */
void ef_taps_step(const ef_taps *cell, const int16_t *x, int16_t *past, int16_t *y);

/* y = x / 2^shift, half rounds up, clipped to 0..limit. */
void ef_relu_s16(const int16_t *x, int16_t *y, unsigned size, unsigned shift, int32_t limit);

/* y = gain * (x - mean) / deviation + bias */
typedef struct {
    const int16_t *gain; /* [size], in units of 2^-shift of y's */
    const int32_t *bias; /* [size] */
    uint16_t size;       /* at most 2^14 */
    int64_t epsilon;     /* 1..2^59 */
    uint8_t source_bits;
    uint8_t state_bits; /* width of y, 8..16 */
    uint8_t shift;      /* 0..15 */
} ef_layer_norm;

void ef_layer_norm_step(const ef_layer_norm *norm, const int16_t *x, int16_t *y);

/* y = x + down(relu(up(x))) */
typedef struct {
    const ef_matrix *up;   /* [hidden, size] */
    const ef_matrix *down; /* [size, hidden] */
    const int16_t *skip;   /* a unit of x in units of y, Q0.15 [size] */
    uint16_t size;
    uint16_t hidden;
    uint8_t hidden_bits; /* 2..16 */
    uint8_t state_bits;  /* width of y, 8..16 */
} ef_channel_mixer;

/* scratch: hidden rounded up to a multiple of 4, and size int16; 4-byte aligned */
void ef_channel_mixer_step(const ef_channel_mixer *mixer, const int16_t *x, int16_t *y,
                           int16_t *scratch);

/* LTC step; v is read and replaced. Synapses are [hidden, inputs] and [hidden, hidden]. */
typedef struct {
    const int16_t *sensory_slope;
    const int16_t *sensory_offset;
    const int16_t *sensory_weight;
    const int16_t *sensory_reversal;
    const int16_t *slope;
    const int16_t *offset;
    const int16_t *weight;
    const int16_t *reversal;
    const int16_t *capacity; /* [hidden] */
    const int32_t *leak;     /* [hidden] */
    const int32_t *rest;     /* [hidden] */
    uint16_t inputs;
    uint16_t hidden;
    uint8_t unfolds; /* solver steps a sample */
    uint8_t source_bits;
    uint16_t motors;       /* the first units, which are the output */
    uint8_t sensory_shift; /* 1..15 */
    uint8_t shift;         /* 1..15 */
} ef_ltc;

/* scratch: hidden int16, scratch32: 2 * hidden int32 */
void ef_ltc_step(const ef_ltc *ltc, const int16_t *x, int16_t *v, int16_t *scratch,
                 int32_t *scratch32);

/* Copies size values, clipped to [-limit, limit]. */
void ef_clamp_s16(const int16_t *x, int16_t *y, unsigned size, int32_t limit);

/* Q0.15 at -8, -8 + 1/16, ..., 8 */
extern const int16_t ef_table_sigmoid[257];
extern const int16_t ef_table_tanh[257];
/* Q3.12 */
extern const int16_t ef_table_log_sigmoid[257];
extern const int16_t ef_table_decay[257]; /* x exp(-|x|) */
/* Q0.15 at 1, 1 + 1/256, ..., 2 */
extern const int16_t ef_table_reciprocal[257];

#endif

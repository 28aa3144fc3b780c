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
    uint8_t group;      /* columns that fire together */
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

ef_matvec ef_matvec_s8_s16; /* any core: int8 row by row */
ef_matvec ef_matvec_s4_s16; /* any core: int4, two columns a byte */

ef_matvec ef_delta_matvec_s8_s16; /* any core: adds the columns whose x moved */
ef_matvec ef_hold_matvec;         /* any core: x_hat, then the dense matrix at `weights` */

ef_matvec ef_delta_matvec_s8_s16_mve; /* Helium */

/* Arm DSP extension, x of at most 15 bits; "pair": even groups of columns */
ef_matvec ef_delta_matvec_s8_s16_dsp;       /* two rows in 64 bits: where 24 bits suffice */
ef_matvec ef_delta_matvec_s16_s16_dsp;      /* likewise; fewest instructions, most flash */
ef_matvec ef_delta_matvec_pair_s8_s16_dsp;  /* two rows a halfword: where 24 bits suffice */
ef_matvec ef_delta_matvec_pair_s16_s16_dsp; /* weights in 16 bits */

/* Delta and block-sparse: of a column that fires, only its blocks (rows x columns) are added */
ef_matvec ef_delta_matvec_sparse_8x1_s8_s16;     /* any core */
ef_matvec ef_delta_matvec_sparse_8x1_s8_s16_mve; /* Helium */
ef_matvec ef_delta_matvec_sparse_4x1_s8_s16_dsp; /* Arm DSP extension: where 24 bits suffice */
ef_matvec ef_delta_matvec_sparse_4x2_s8_s16_dsp; /* likewise, even groups of columns */

/* Block-sparse: blocks of weights (rows x columns) that are all zero are not stored */
ef_matvec ef_matvec_sparse_8x1_s8_s16;          /* any core */
ef_matvec ef_matvec_sparse_8x1_s8_s16_armv6m;   /* Cortex-M0, M0+, at most 256 columns */
ef_matvec ef_matvec_sparse_4x4_pair_s8_s16_dsp; /* Arm DSP extension: where 24 bits suffice */
ef_matvec ef_matvec_sparse_4x2_pair_s8_s16_dsp;
ef_matvec ef_matvec_sparse_4x1_pair_s8_s16_dsp;
ef_matvec ef_matvec_sparse_4x4_s8_s16_dsp;  /* any int8 */
ef_matvec ef_matvec_sparse_4x4_s16_s16_dsp; /* weights in 16 bits */
ef_matvec ef_matvec_sparse_8x1_s8_s8_mve;   /* Helium, x of at most 8 bits, 128 columns */
ef_matvec ef_matvec_sparse_8x1_s8_s16_mve;  /* Helium, at most 256 columns */

/* Sparse: single weights that are zero are not stored */
ef_matvec ef_matvec_sparse_1x1_s8_s16;        /* any core */
ef_matvec ef_matvec_sparse_1x1_s8_s16_armv6m; /* Cortex-M0, M0+, at most 128 columns */
ef_matvec ef_matvec_sparse_1x1_s8_s16_armv7m; /* Cortex-M3, at most 256 columns */
ef_matvec ef_matvec_sparse_1x1_s8_s16_rv32;   /* RV32IM */
ef_matvec ef_matvec_sparse_1x1_s8_s16_dsp;    /* Arm DSP extension, at most 256 columns */
ef_matvec ef_matvec_sparse_1x1_s8_s16_mve;    /* Helium, at most 256 columns */
ef_matvec ef_matvec_sparse_1x1_s16_s16_dsp;   /* likewise, any; 6 bytes a weight that is stored */

/* Arm DSP extension: streams of four rows */
ef_matvec ef_matvec_s8_s16_dsp;         /* int8, tiles of 4 x 4 */
ef_matvec ef_matvec_pair_s8_s16_dsp;    /* int8, two rows a halfword: where 24 bits suffice */
ef_matvec ef_matvec_narrow_s16_s16_dsp; /* weights in 16 bits, at most 8 columns */
ef_matvec ef_matvec_s16_s16_dsp;        /* weights in 16 bits: fewest instructions, most flash */
ef_matvec ef_matvec_s4_s16_dsp;         /* int4, four rows a halfword: where 20 bits suffice */
ef_matvec ef_matvec_wide_s4_s16_dsp;    /* int4, any range */

/* Helium: eight rows at a time; "shift" for ratios of 1 and more */
ef_matvec ef_matvec_s8_s8_mve; /* x of at most 8 bits, narrowed to bytes on the stack */
ef_matvec ef_matvec_shift_s8_s8_mve;
ef_matvec ef_matvec_s8_s16_mve;
ef_matvec ef_matvec_shift_s8_s16_mve;
ef_matvec ef_matvec_split_s8_s16_mve; /* four rows; x as bytes high and low on the stack */
ef_matvec ef_matvec_s4_s8_mve;        /* int4, two rows a byte; x of at most 8 bits */
ef_matvec ef_matvec_split_s4_s16_mve; /* likewise, four rows, any x */

/* Eight rows at a time, x shared by them: int8 */
ef_matvec ef_matvec_s8_s16_armv6m; /* Cortex-M0, M0+ */
ef_matvec ef_matvec_s8_s16_armv7m; /* Cortex-M3 */
ef_matvec ef_matvec_s8_s16_rv32;   /* RV32IM */
ef_matvec ef_matvec_s8_s16_neon;   /* AArch64 with Advanced SIMD */

/* AArch64 with the dot product: tiles of 4 x 4 */
ef_matvec ef_matvec_s8_s16_neon_dot; /* x as two bytes, at most 2048 columns */
ef_matvec ef_matvec_s8_s8_neon_dot;  /* x of at most 8 bits */

ef_matvec ef_add_columns_s8;     /* any core, x in {-1, 0, 1}: adds the columns of spikes */
ef_matvec ef_add_columns_s8_dsp; /* the same, for the Arm DSP extension */

#include "ef_cells.h"

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

/* What a spike does to the membrane: threshold subtracted, decayed part lost, zero for a step. */
enum { EF_LIF_SUBTRACT, EF_LIF_ZERO, EF_LIF_REFRACTORY };

/* y = x / 2^shift, half rounds up, clipped to 0..limit. */
void ef_relu_s16(const int16_t *x, int16_t *y, unsigned size, unsigned shift, int32_t limit);

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

#include "ef_layout.h" /* compares the offsets that assembler code uses */

#endif

/* Matvec kernels by their sets: written by scripts/firmware_headers.py. */
#ifndef EF_MATVEC_H
#define EF_MATVEC_H

/* Cortex-M0 and M0+ (armv6m) */
a_ef_matvec a_ef_matvec_s8_s16_armv6m;            /* eight rows at a time share x */
a_ef_matvec a_ef_matvec_sparse_8x1_s8_s16_armv6m; /* blocks that are not zero */
a_ef_matvec a_ef_matvec_sparse_1x1_s8_s16_armv6m; /* weights that are not zero, positive ones first */

/* Cortex-M3 (armv7m) */
a_ef_matvec a_ef_matvec_s8_s16_armv7m;            /* eight rows at a time share x */
a_ef_matvec a_ef_matvec_sparse_1x1_s8_s16_armv7m; /* weights that are not zero */

/* Any core (c) */
a_ef_matvec a_ef_add_columns_s8;                 /* adds the columns of spikes */
a_ef_matvec a_ef_delta_matvec_s8_s16;            /* adds the columns whose x moved */
a_ef_matvec a_ef_delta_matvec_sparse_8x1_s8_s16; /* adds the blocks stored of columns whose x moved */
a_ef_matvec a_ef_matvec_s8_s16;                  /* int8, row by row */
a_ef_matvec a_ef_matvec_s4_s16;                  /* int4, two columns per byte */
a_ef_matvec a_ef_matvec_sparse_8x1_s8_s16;       /* blocks that are not zero */
a_ef_matvec a_ef_matvec_sparse_1x1_s8_s16;       /* weights that are not zero */

/* Arm DSP extension: streams of four rows (dsp) */
a_ef_matvec a_ef_delta_matvec_pair_s8_s16_dsp;       /* delta update, two rows per halfword */
a_ef_matvec a_ef_delta_matvec_s8_s16_dsp;            /* delta update, sums of two rows in 64 bits */
a_ef_matvec a_ef_delta_matvec_pair_s16_s16_dsp;      /* delta update, weights in 16 bits */
a_ef_matvec a_ef_delta_matvec_s16_s16_dsp;           /* delta update, weights in 16 bits */
a_ef_matvec a_ef_delta_matvec_sparse_4x2_s8_s16_dsp; /* delta update by blocks that are not zero */
a_ef_matvec a_ef_delta_matvec_sparse_4x1_s8_s16_dsp; /* delta update by blocks that are not zero */
a_ef_matvec a_ef_add_columns_s8_dsp;                 /* adds the columns of spikes */
a_ef_matvec a_ef_matvec_narrow_s16_s16_dsp;          /* weights in 16 bits, x in registers */
a_ef_matvec a_ef_matvec_pair_s8_s16_dsp;             /* int8, two rows per halfword */
a_ef_matvec a_ef_matvec_s8_s16_dsp;                  /* int8, tiles of 4 x 4 */
a_ef_matvec a_ef_matvec_s16_s16_dsp;                 /* weights in 16 bits: fastest, most flash */
a_ef_matvec a_ef_matvec_s4_s16_dsp;                  /* int4, four rows per halfword */
a_ef_matvec a_ef_matvec_wide_s4_s16_dsp;             /* int4, sums of 32 bits */
a_ef_matvec a_ef_matvec_sparse_4x4_pair_s8_s16_dsp;  /* blocks that are not zero, in row pairs */
a_ef_matvec a_ef_matvec_sparse_4x2_pair_s8_s16_dsp;  /* blocks that are not zero, in row pairs */
a_ef_matvec a_ef_matvec_sparse_4x1_pair_s8_s16_dsp;  /* blocks that are not zero, in row pairs */
a_ef_matvec a_ef_matvec_sparse_4x4_s8_s16_dsp;       /* blocks that are not zero, int8 */
a_ef_matvec a_ef_matvec_sparse_4x4_s16_s16_dsp;      /* blocks that are not zero, weights in 16 bits */
a_ef_matvec a_ef_matvec_sparse_1x1_s8_s16_dsp;       /* weights that are not zero, four at a time */
a_ef_matvec a_ef_matvec_sparse_1x1_s16_s16_dsp;      /* weights that are not zero, 6 bytes each */

/* Arm Helium: eight rows at a time (mve) */
a_ef_matvec a_ef_delta_matvec_s8_s16_mve;            /* delta update */
a_ef_matvec a_ef_delta_matvec_sparse_8x1_s8_s16_mve; /* delta update by blocks that are not zero */
a_ef_matvec a_ef_matvec_s8_s8_mve;                   /* x narrowed to bytes on the stack */
a_ef_matvec a_ef_matvec_shift_s8_s8_mve;             /* x narrowed to bytes, ratios of 1 and more */
a_ef_matvec a_ef_matvec_split_s8_s16_mve;            /* x as bytes high and low on the stack */
a_ef_matvec a_ef_matvec_s8_s16_mve;                  /* x read once for eight rows */
a_ef_matvec a_ef_matvec_shift_s8_s16_mve;            /* eight rows, ratios of 1 and more */
a_ef_matvec a_ef_matvec_s4_s8_mve;                   /* int4, two rows per byte; x narrowed to bytes */
a_ef_matvec a_ef_matvec_split_s4_s16_mve;            /* int4, two rows per byte; x as two bytes */
a_ef_matvec a_ef_matvec_sparse_8x1_s8_s8_mve;        /* blocks that are not zero, x in bytes */
a_ef_matvec a_ef_matvec_sparse_8x1_s8_s16_mve;       /* blocks that are not zero */
a_ef_matvec a_ef_matvec_sparse_1x1_s8_s16_mve;       /* weights that are not zero */

/* AArch64 with Advanced SIMD (neon) */
a_ef_matvec a_ef_matvec_s8_s16_neon; /* eight rows at a time share x */

/* AArch64 with the dot product (FEAT_DotProd) (neon_dot) */
a_ef_matvec a_ef_matvec_s8_s8_neon_dot;  /* x narrowed to bytes */
a_ef_matvec a_ef_matvec_s8_s16_neon_dot; /* x as two bytes */

/* RV32IM (rv32) */
a_ef_matvec a_ef_matvec_s8_s16_rv32;            /* eight rows at a time share x */
a_ef_matvec a_ef_matvec_sparse_1x1_s8_s16_rv32; /* weights that are not zero */

#endif

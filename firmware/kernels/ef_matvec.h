/* Matvec kernels by their sets: written by scripts/firmware_headers.py. */
#ifndef EF_MATVEC_H
#define EF_MATVEC_H

/* Cortex-M0 and M0+ (armv6m) */
ef_matvec ef_matvec_pair_s4_s16_armv6m;       /* int4, two rows in one product */
ef_matvec ef_matvec_s8_s16_armv6m;            /* eight rows at a time share x */
ef_matvec ef_matvec_sparse_8x1_s8_s16_armv6m; /* blocks that are not zero */
ef_matvec ef_matvec_sparse_1x1_s8_s16_armv6m; /* weights that are not zero, positive ones first */

/* Cortex-M3 (armv7m) */
ef_matvec ef_matvec_pair_s4_s16_armv7m;       /* int4, two rows in one product */
ef_matvec ef_matvec_s8_s16_armv7m;            /* eight rows at a time share x */
ef_matvec ef_matvec_sparse_1x1_s8_s16_armv7m; /* weights that are not zero */

/* AVR with a multiplier (avr) */
ef_matvec ef_matvec_s8_s16_avr; /* four rows at a time share x */

/* Any core (c) */
ef_matvec ef_add_columns_s8;                 /* adds the columns of spikes */
ef_matvec ef_delta_matvec_s8_s16;            /* adds the columns whose x moved */
ef_matvec ef_delta_matvec_sparse_8x1_s8_s16; /* adds the blocks stored of columns whose x moved */
ef_matvec ef_matvec_s8_s16;                  /* int8, row by row */
ef_matvec ef_matvec_s4_s16;                  /* int4, two columns per byte */
ef_matvec ef_matvec_sparse_8x1_s8_s16;       /* blocks that are not zero */
ef_matvec ef_matvec_sparse_1x1_s8_s16;       /* weights that are not zero */

/* Arm DSP extension: streams of four rows (dsp) */
ef_matvec ef_delta_matvec_pair_s8_s16_dsp;       /* delta update, two rows per halfword */
ef_matvec ef_delta_matvec_s8_s16_dsp;            /* delta update, sums of two rows in 64 bits */
ef_matvec ef_delta_matvec_pair_s16_s16_dsp;      /* delta update, weights in 16 bits */
ef_matvec ef_delta_matvec_s16_s16_dsp;           /* delta update, weights in 16 bits */
ef_matvec ef_delta_matvec_sparse_4x2_s8_s16_dsp; /* delta update by blocks that are not zero */
ef_matvec ef_delta_matvec_sparse_4x1_s8_s16_dsp; /* delta update by blocks that are not zero */
ef_matvec ef_add_columns_s8_dsp;                 /* adds the columns of spikes */
ef_matvec ef_matvec_narrow_s16_s16_dsp;          /* weights in 16 bits, x in registers */
ef_matvec ef_matvec_pair_s8_s16_dsp;             /* int8, two rows per halfword */
ef_matvec ef_matvec_wide_s8_s16_dsp;             /* int8, two rows per halfword, many columns */
ef_matvec ef_matvec_s8_s16_dsp;                  /* int8, tiles of 4 x 4 */
ef_matvec ef_matvec_s16_s16_dsp;                 /* weights in 16 bits: fastest, most flash */
ef_matvec ef_matvec_chain_s4_s16_dsp;            /* int4, four rows in three accumulators */
ef_matvec ef_matvec_s4_s16_dsp;                  /* int4, four rows per halfword */
ef_matvec ef_matvec_wide_s4_s16_dsp;             /* int4, sums of 32 bits */
ef_matvec ef_matvec_sparse_4x4_pair_s8_s16_dsp;  /* blocks that are not zero, in row pairs */
ef_matvec ef_matvec_sparse_4x2_pair_s8_s16_dsp;  /* blocks that are not zero, in row pairs */
ef_matvec ef_matvec_sparse_4x1_pair_s8_s16_dsp;  /* blocks that are not zero, in row pairs */
ef_matvec ef_matvec_sparse_4x4_s8_s16_dsp;       /* blocks that are not zero, int8 */
ef_matvec ef_matvec_sparse_4x4_s16_s16_dsp;      /* blocks that are not zero, weights in 16 bits */
ef_matvec ef_matvec_sparse_1x1_s8_s16_dsp;       /* weights that are not zero, four at a time */
ef_matvec ef_matvec_sparse_1x1_s16_s16_dsp;      /* weights that are not zero, 6 bytes each */

/* Arm Helium: eight rows at a time (mve) */
ef_matvec ef_delta_matvec_s8_s16_mve;            /* delta update */
ef_matvec ef_delta_matvec_sparse_8x1_s8_s16_mve; /* delta update by blocks that are not zero */
ef_matvec ef_matvec_s8_s8_mve;                   /* x narrowed to bytes on the stack */
ef_matvec ef_matvec_shift_s8_s8_mve;             /* x narrowed to bytes, ratios of 1 and more */
ef_matvec ef_matvec_split_s8_s16_mve;            /* x as bytes high and low on the stack */
ef_matvec ef_matvec_s8_s16_mve;                  /* x read once for eight rows */
ef_matvec ef_matvec_shift_s8_s16_mve;            /* eight rows, ratios of 1 and more */
ef_matvec ef_matvec_s4_s8_mve;                   /* int4, two rows per byte; x narrowed to bytes */
ef_matvec ef_matvec_split_s4_s16_mve;            /* int4, two rows per byte; x as two bytes */
ef_matvec ef_matvec_sparse_8x1_s8_s8_mve;        /* blocks that are not zero, x in bytes */
ef_matvec ef_matvec_sparse_8x1_s8_s16_mve;       /* blocks that are not zero */
ef_matvec ef_matvec_sparse_1x1_s8_s16_mve;       /* weights that are not zero */

/* AArch64 with Advanced SIMD (neon) */
ef_matvec ef_matvec_s8_s16_neon; /* eight rows at a time share x */

/* AArch64 with the dot product (FEAT_DotProd) (neon_dot) */
ef_matvec ef_matvec_s8_s8_neon_dot;  /* x narrowed to bytes */
ef_matvec ef_matvec_s8_s16_neon_dot; /* x as two bytes */

/* RV32IM (rv32) */
ef_matvec ef_matvec_pair_s4_s16_rv32;       /* int4, two rows in one product */
ef_matvec ef_matvec_s8_s16_rv32;            /* eight rows at a time share x */
ef_matvec ef_matvec_sparse_1x1_s8_s16_rv32; /* weights that are not zero */

#endif

"""Arm DSP extension: streams of four rows."""

from edgeflow.codegen.kernels.exact import (
    chained_rows,
    changes_fit,
    columns,
    halfwords_hold_shift,
    offsets_fit_16_bits,
    ratios_below_half,
    reads_spikes,
    row_pairs,
    row_pairs_in_parts,
    rows_fit_16_bits,
    sums_fit,
    updates_pairs,
    weights_fit_4_bits,
)
from edgeflow.codegen.kernels.kernel import MatvecKernel
from edgeflow.codegen.layouts import blocks, delta, dense, unstructured
from edgeflow.codegen.layouts.block_format import BlockFormat

#: Two entries of a table, and two outputs, are a word at any halfword.
UNALIGNED = True

#: Blocks whose gaps, in bytes of x, fit a byte.
TILES = BlockFormat(4, 4, reach=124)
COLUMN_PAIRS = BlockFormat(4, 2, reach=126)
COLUMNS_OF_FOUR = BlockFormat(4, 1, step=2, reach=127)

_long_pairs = changes_fit & sums_fit(24, 1, 2)
_delta_pairs = changes_fit & sums_fit(24, 0, 2)

KERNELS = [
    MatvecKernel(
        "ef_delta_matvec_pair_s8_s16_dsp",
        delta.DeltaRowPairs(),
        "delta update, two rows per halfword",
        _delta_pairs & updates_pairs,
    ),
    MatvecKernel(
        "ef_delta_matvec_s8_s16_dsp",
        delta.DeltaBytes(),
        "delta update, sums of two rows in 64 bits",
        _long_pairs,
    ),
    MatvecKernel(
        "ef_delta_matvec_pair_s16_s16_dsp",
        delta.DeltaHalfwords(),
        "delta update, weights in 16 bits",
        changes_fit & updates_pairs,
    ),
    MatvecKernel(
        "ef_delta_matvec_s16_s16_dsp",
        delta.DeltaLong(),
        "delta update, weights in 16 bits",
        _long_pairs,
    ),
    MatvecKernel(
        "ef_delta_matvec_sparse_4x2_s8_s16_dsp",
        delta.DeltaBlockRowPairs(BlockFormat(4, 2, step=2, by_columns=True)),
        "delta update by blocks that are not zero",
        _delta_pairs & offsets_fit_16_bits & updates_pairs,
    ),
    MatvecKernel(
        "ef_delta_matvec_sparse_4x1_s8_s16_dsp",
        delta.DeltaBlockRowPairs(BlockFormat(4, 1, step=2, by_columns=True)),
        "delta update by blocks that are not zero",
        _delta_pairs & offsets_fit_16_bits,
    ),
    MatvecKernel(
        "ef_add_columns_s8_dsp",
        dense.SpikeColumns(),
        "adds the columns of spikes",
        reads_spikes & columns(1024) & rows_fit_16_bits,
    ),
    MatvecKernel(
        "ef_matvec_narrow_s16_s16_dsp",
        dense.Halfwords(),
        "weights in 16 bits, x in registers",
        halfwords_hold_shift & columns(8),
    ),
    MatvecKernel(
        "ef_matvec_pair_s8_s16_dsp", dense.RowPairs(), "int8, two rows per halfword", row_pairs
    ),
    MatvecKernel(
        "ef_matvec_wide_s8_s16_dsp",
        dense.RowPairs(),
        "int8, two rows per halfword, many columns",
        row_pairs_in_parts,
    ),
    MatvecKernel("ef_matvec_s8_s16_dsp", dense.Tiles(), "int8, tiles of 4 x 4"),
    MatvecKernel(
        "ef_matvec_s16_s16_dsp",
        dense.Halfwords(),
        "weights in 16 bits: fastest, most flash",
        halfwords_hold_shift,
    ),
    MatvecKernel(
        "ef_matvec_chain_s4_s16_dsp",
        dense.ChainedNibbles(),
        "int4, four rows in three accumulators",
        chained_rows,
    ),
    MatvecKernel(
        "ef_matvec_s4_s16_dsp",
        dense.RowQuads(),
        "int4, four rows per halfword",
        weights_fit_4_bits & sums_fit(20, 0, 4) & sums_fit(24, 1, 4) & sums_fit(28, 2, 4),
    ),
    MatvecKernel(
        "ef_matvec_wide_s4_s16_dsp",
        dense.OffsetNibbles(),
        "int4, sums of 32 bits",
        weights_fit_4_bits,
    ),
    *(
        MatvecKernel(
            f"ef_matvec_sparse_4x{form.cols}_pair_s8_s16_dsp",
            blocks.BlockRowPairs(form),
            "blocks that are not zero, in row pairs",
            row_pairs,
        )
        for form in (TILES, COLUMN_PAIRS, COLUMNS_OF_FOUR)
    ),
    MatvecKernel(
        "ef_matvec_sparse_4x4_s8_s16_dsp",
        blocks.BlockTiles(TILES),
        "blocks that are not zero, int8",
    ),
    MatvecKernel(
        "ef_matvec_sparse_4x4_s16_s16_dsp",
        blocks.BlockHalfwords(TILES),
        "blocks that are not zero, weights in 16 bits",
        ratios_below_half,
    ),
    MatvecKernel(
        "ef_matvec_sparse_1x1_s8_s16_dsp",
        unstructured.IndexedFours(),
        "weights that are not zero, four at a time",
        columns(256) & ratios_below_half,
    ),
    MatvecKernel(
        "ef_matvec_sparse_1x1_s16_s16_dsp",
        unstructured.IndexedFours(16),
        "weights that are not zero, 6 bytes each",
        ratios_below_half,
    ),
]

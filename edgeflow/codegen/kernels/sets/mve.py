"""Arm Helium: eight rows at a time."""

from edgeflow.codegen.kernels.exact import (
    columns,
    input_bits,
    is_delta,
    offsets_fit_16_bits,
    ratios_below_1,
    sums_fit,
    weights_fit_4_bits,
)
from edgeflow.codegen.kernels.kernel import MatvecKernel
from edgeflow.codegen.layouts import blocks, delta, dense, unstructured
from edgeflow.codegen.layouts.block_format import BlockFormat

KERNELS = [
    MatvecKernel(
        "ef_delta_matvec_s8_s16_mve",
        delta.DeltaVectors(),
        "delta update",
        is_delta & ratios_below_1,
    ),
    MatvecKernel(
        "ef_delta_matvec_sparse_8x1_s8_s16_mve",
        delta.DeltaBlockVectors(),
        "delta update by blocks that are not zero",
        is_delta & ratios_below_1 & offsets_fit_16_bits,
    ),
    MatvecKernel(
        "ef_matvec_s8_s8_mve",
        dense.EightRows(16),
        "x narrowed to bytes on the stack",
        input_bits(8) & columns(2048, least=9) & ratios_below_1,
    ),
    MatvecKernel(
        "ef_matvec_shift_s8_s8_mve",
        dense.EightRows(16, shift=False),
        "x narrowed to bytes, ratios of 1 and more",
        input_bits(8) & columns(2048, least=9),
    ),
    MatvecKernel(
        "ef_matvec_split_s8_s16_mve",
        dense.SplitBytes(),
        "x as bytes high and low on the stack",
        ratios_below_1 & columns(1024, least=25),
    ),
    MatvecKernel(
        "ef_matvec_s8_s16_mve", dense.EightRows(8), "x read once for eight rows", ratios_below_1
    ),
    MatvecKernel(
        "ef_matvec_shift_s8_s16_mve",
        dense.EightRows(8, shift=False),
        "eight rows, ratios of 1 and more",
    ),
    MatvecKernel(
        "ef_matvec_s4_s8_mve",
        dense.NibblePairs(),
        "int4, two rows per byte; x narrowed to bytes",
        input_bits(8) & weights_fit_4_bits & sums_fit(28) & columns(1024, least=9),
    ),
    MatvecKernel(
        "ef_matvec_split_s4_s16_mve",
        dense.SplitNibblePairs(),
        "int4, two rows per byte; x as two bytes",
        weights_fit_4_bits & sums_fit(28) & columns(1024),
    ),
    MatvecKernel(
        "ef_matvec_sparse_8x1_s8_s8_mve",
        blocks.GatheredBlocks(BlockFormat(8, 1, step=16)),
        "blocks that are not zero, x in bytes",
        ratios_below_1 & input_bits(8) & columns(128),
    ),
    MatvecKernel(
        "ef_matvec_sparse_8x1_s8_s16_mve",
        blocks.GatheredBlocks(BlockFormat(8, 1, step=8)),
        "blocks that are not zero",
        ratios_below_1 & columns(256),
    ),
    MatvecKernel(
        "ef_matvec_sparse_1x1_s8_s16_mve",
        unstructured.GatheredRows(),
        "weights that are not zero",
        ratios_below_1 & columns(256),
    ),
]

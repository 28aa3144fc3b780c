"""Any core."""

from edgeflow.codegen.kernels.exact import is_delta, reads_spikes, weights_fit_4_bits
from edgeflow.codegen.kernels.kernel import MatvecKernel
from edgeflow.codegen.layouts import blocks, delta, dense
from edgeflow.codegen.layouts.block_format import BlockFormat

#: Preferred by cores without SIMD: dense products cost them more than columns of a few spikes.
ADD_COLUMNS = MatvecKernel(
    "ef_add_columns_s8", dense.SpikeColumns(), "adds the columns of spikes", reads_spikes, "c"
)
KERNELS = [
    ADD_COLUMNS,
    MatvecKernel(
        "ef_delta_matvec_s8_s16", delta.DeltaColumns(), "adds the columns whose x moved", is_delta
    ),
    MatvecKernel(
        "ef_delta_matvec_sparse_8x1_s8_s16",
        delta.DeltaGapBlocks(),
        "adds the blocks stored of columns whose x moved",
        is_delta,
    ),
    MatvecKernel("ef_matvec_s8_s16", dense.Rows(), "int8, row by row"),
    MatvecKernel(
        "ef_matvec_s4_s16", dense.Nibbles(), "int4, two columns per byte", weights_fit_4_bits
    ),
    MatvecKernel(
        "ef_matvec_sparse_8x1_s8_s16",
        blocks.GapBlocks(BlockFormat(8, 1, reach=255)),
        "blocks that are not zero",
    ),
    MatvecKernel(
        "ef_matvec_sparse_1x1_s8_s16",
        blocks.GapBlocks(BlockFormat(1, 1, reach=255)),
        "weights that are not zero",
    ),
]

"""Cortex-M0 and M0+."""

from edgeflow.codegen.kernels.exact import columns, nibble_pairs
from edgeflow.codegen.kernels.kernel import MatvecKernel
from edgeflow.codegen.kernels.sets.c import ADD_COLUMNS
from edgeflow.codegen.layouts import blocks, dense, unstructured

KERNELS = [
    ADD_COLUMNS,
    MatvecKernel(
        "ef_matvec_pair_s4_s16_armv6m",
        dense.NibbleColumns(),
        "int4, two rows in one product",
        nibble_pairs,
    ),
    MatvecKernel(
        "ef_matvec_s8_s16_armv6m", dense.ByteColumns(offset=128), "eight rows at a time share x"
    ),
    MatvecKernel(
        "ef_matvec_sparse_8x1_s8_s16_armv6m",
        blocks.IndexedBlocks(),
        "blocks that are not zero",
        columns(256),
    ),
    MatvecKernel(
        "ef_matvec_sparse_1x1_s8_s16_armv6m",
        unstructured.IndexedBySign(),
        "weights that are not zero, positive ones first",
        columns(128),
    ),
]

"""Cortex-M3."""

from edgeflow.codegen.kernels.exact import columns, nibble_pairs
from edgeflow.codegen.kernels.kernel import MatvecKernel
from edgeflow.codegen.kernels.sets.c import ADD_COLUMNS
from edgeflow.codegen.layouts import dense, unstructured

KERNELS = [
    ADD_COLUMNS,
    MatvecKernel(
        "ef_matvec_pair_s4_s16_armv7m",
        dense.NibbleColumns(),
        "int4, two rows in one product",
        nibble_pairs,
    ),
    MatvecKernel("ef_matvec_s8_s16_armv7m", dense.ByteColumns(), "eight rows at a time share x"),
    MatvecKernel(
        "ef_matvec_sparse_1x1_s8_s16_armv7m",
        unstructured.Indexed(),
        "weights that are not zero",
        columns(256),
    ),
]

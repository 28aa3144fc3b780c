"""RV32IM."""

from edgeflow.codegen.kernels.exact import nibble_pairs
from edgeflow.codegen.kernels.kernel import MatvecKernel
from edgeflow.codegen.kernels.sets.c import ADD_COLUMNS
from edgeflow.codegen.layouts.dense import ByteColumns, NibbleColumns
from edgeflow.codegen.layouts.unstructured import GapEncoded

KERNELS = [
    ADD_COLUMNS,
    MatvecKernel(
        "ef_matvec_pair_s4_s16_rv32",
        NibbleColumns(),
        "int4, two rows in one product",
        nibble_pairs,
    ),
    MatvecKernel("ef_matvec_s8_s16_rv32", ByteColumns(), "eight rows at a time share x"),
    MatvecKernel("ef_matvec_sparse_1x1_s8_s16_rv32", GapEncoded(), "weights that are not zero"),
]

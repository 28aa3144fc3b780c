"""AArch64 with Advanced SIMD."""

from edgeflow.codegen.kernels.kernel import MatvecKernel
from edgeflow.codegen.layouts.dense import ByteColumns

KERNELS = [
    MatvecKernel("ef_matvec_s8_s16_neon", ByteColumns(multiple=4), "eight rows at a time share x"),
]

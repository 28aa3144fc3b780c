"""AArch64 with the dot product (FEAT_DotProd)."""

from edgeflow.codegen.kernels.exact import columns, input_bits
from edgeflow.codegen.kernels.kernel import MatvecKernel
from edgeflow.codegen.layouts.dense import DotTiles

KERNELS = [
    MatvecKernel(
        "ef_matvec_s8_s8_neon_dot",
        DotTiles(split=False),
        "x narrowed to bytes",
        input_bits(8) & columns(2048),
    ),
    MatvecKernel(
        "ef_matvec_s8_s16_neon_dot", DotTiles(split=True), "x as two bytes", columns(2048)
    ),
]

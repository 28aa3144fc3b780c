"""Any core: bodies that TVM writes for each shape (``edgeflow/codegen/tvm/matvec.py``)."""

from edgeflow.codegen.kernels.kernel import MatvecKernel
from edgeflow.codegen.layouts.dense import ByteColumns

KERNELS = [
    MatvecKernel("ef_matvec_8x1_s8_s16_tvm", ByteColumns(), "eight rows at a time"),
    MatvecKernel("ef_matvec_4x1_s8_s16_tvm", ByteColumns(rows=4), "four rows at a time"),
]

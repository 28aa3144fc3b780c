"""Arm Helium: bodies that TVM writes for each shape (``edgeflow/codegen/tvm/matvec.py``)."""

from edgeflow.codegen.kernels.exact import ratios_below_half
from edgeflow.codegen.kernels.kernel import MatvecKernel
from edgeflow.codegen.layouts.dense import FourRows

KERNELS = [
    MatvecKernel(
        "ef_matvec_4x8_s8_s16_tvm_mve", FourRows(), "four rows at a time", ratios_below_half
    ),
    MatvecKernel(
        "ef_matvec_shift_4x8_s8_s16_tvm_mve",
        FourRows(shift=False),
        "four rows, ratios of 1/2 and more",
    ),
]

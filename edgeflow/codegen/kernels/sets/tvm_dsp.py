"""Arm DSP extension: bodies that TVM writes for each shape (``edgeflow/codegen/tvm/matvec.py``)."""

from edgeflow.codegen.kernels.exact import halfwords_hold_shift, row_pairs
from edgeflow.codegen.kernels.kernel import MatvecKernel
from edgeflow.codegen.layouts.dense import Halfwords, RowPairs, Tiles

KERNELS = [
    MatvecKernel(
        "ef_matvec_pair_s8_s16_tvm_dsp", RowPairs(), "int8, two rows per halfword", row_pairs
    ),
    MatvecKernel("ef_matvec_4x4_s8_s16_tvm_dsp", Tiles(), "int8, tiles of 4 x 4"),
    MatvecKernel(
        "ef_matvec_s16_s16_tvm_dsp", Halfwords(), "weights in 16 bits", halfwords_hold_shift
    ),
]

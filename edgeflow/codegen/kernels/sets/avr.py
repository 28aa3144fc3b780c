"""AVR with a multiplier."""

from edgeflow.codegen.kernels.exact import columns
from edgeflow.codegen.kernels.kernel import MatvecKernel
from edgeflow.codegen.kernels.sets.c import ADD_COLUMNS
from edgeflow.codegen.layouts.dense import UnsignedColumns

KERNELS = [
    ADD_COLUMNS,
    MatvecKernel(
        "ef_matvec_s8_s16_avr",
        UnsignedColumns(),
        "four rows at a time share x",
        columns(255),
    ),
]

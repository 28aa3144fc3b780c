"""Which matvec kernels there are, which core can run them, how their weights are packed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import TargetError
from edgeflow.program.matrix import Matrix

Packed = NDArray[np.int8] | NDArray[np.uint32]


def pack_rows(matrix: Matrix) -> Packed:
    """Row by row, unchanged."""
    return np.ascontiguousarray(matrix.weight).reshape(-1)


def pack_tiles_4x4(matrix: Matrix) -> Packed:
    """Tiles of 4 rows x 4 columns, one little-endian word a row, bytes c0 c2 c1 c3."""
    rows, cols = (-(-size // 4) * 4 for size in matrix.weight.shape)
    padded = np.zeros((rows, cols), dtype=np.int8)
    padded[: matrix.rows, : matrix.cols] = matrix.weight
    tiles = padded.reshape(rows // 4, 4, cols // 4, 4).transpose(0, 2, 1, 3)
    ordered = np.ascontiguousarray(tiles[..., [0, 2, 1, 3]])
    return ordered.view("<u4").astype(np.uint32).reshape(-1)


@dataclass(frozen=True)
class MatvecKernel:
    """A C function with the prototype of ``ef_matvec``.

    Parameters
    ----------
    name : str
        Name of the function; its file is ``kernels/[<set>/]<name>.c``.
    kernel_set : str
        What a core must offer: a name out of the ``kernels`` list of its file in
        ``targets/cores``. "c" runs everywhere.
    pack : callable
        Lays the weights out as the kernel reads them.
    """

    name: str
    kernel_set: str
    pack: Callable[[Matrix], Packed]

    @property
    def source(self) -> str:
        """Path of the C file below ``firmware/kernels``."""
        return f"{self.name}.c" if self.kernel_set == "c" else f"{self.kernel_set}/{self.name}.c"


MATVEC_KERNELS = (
    MatvecKernel("ef_matvec_s8_s16", "c", pack_rows),
    MatvecKernel("ef_matvec_s8_s16_dsp", "dsp", pack_tiles_4x4),
)


def choose_kernel(kernel_sets: Sequence[str]) -> MatvecKernel:
    """Return the first kernel that the core prefers.

    Parameters
    ----------
    kernel_sets : sequence of str
        In order of preference, as in the core's file.

    Raises
    ------
    TargetError
        If there is none.
    """
    for name in kernel_sets:
        for kernel in MATVEC_KERNELS:
            if kernel.kernel_set == name:
                return kernel
    known = ", ".join(sorted({kernel.kernel_set for kernel in MATVEC_KERNELS}))
    raise TargetError(f"no kernel set '{', '.join(kernel_sets)}'; there are: {known}")

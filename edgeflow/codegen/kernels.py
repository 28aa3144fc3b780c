"""Which matvec kernels there are, which core can run them, how their weights are packed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import TargetError
from edgeflow.program.fixedpoint import INT32_MAX, Ints
from edgeflow.program.matrix import Matrix, round_up


@dataclass(frozen=True)
class Packed:
    """Weights as a kernel reads them.

    Parameters
    ----------
    weights : int8 or uint32 array [size]
    complete : bool
        Bias and multipliers are among the weights; the kernel reads no others.
    """

    weights: NDArray[np.int8] | NDArray[np.uint32]
    complete: bool


def pack_rows(matrix: Matrix) -> Packed:
    """Row by row, unchanged."""
    return Packed(np.ascontiguousarray(matrix.weight).reshape(-1), complete=False)


def pack_tiles(matrix: Matrix) -> Packed:
    """Stream of ``ef_matvec_dsp.inc``, a word a row in each 4 x 4 tile, bytes c0 c2 c1 c3."""
    weight = _padded(matrix)
    tiles = _tiles(weight)[..., [0, 2, 1, 3]]  # [groups, tiles, 4 rows, 4 bytes]
    words = np.ascontiguousarray(tiles).view("<u4")[..., 0]
    bias = _pad(matrix.bias.astype(np.int64), matrix.rows)
    return _stream(matrix, words, bias, matrix.multiplier.astype(np.int64))


def pack_row_pairs(matrix: Matrix) -> Packed:
    """Stream of ``ef_matvec_dsp.inc``, halfwords ``256 a + b`` of rows A, B and of C, D."""
    tiles = _tiles(_padded(matrix)).astype(np.int64)
    halves = 256 * tiles[:, :, 0::2] + tiles[:, :, 1::2]  # [groups, tiles, AB or CD, 4 columns]
    pairs = halves.reshape(*halves.shape[:3], 2, 2).transpose(0, 1, 3, 2, 4)
    words = (pairs[..., 0] & 0xFFFF) | ((pairs[..., 1] & 0xFFFF) << 16)
    bias = _pad(matrix.bias.astype(np.int64), matrix.rows)
    bias[0::2] = 256 * bias[0::2] + bias[1::2]
    multiplier = matrix.multiplier.astype(np.int64) << matrix.shift
    return _stream(matrix, words.reshape(*words.shape[:2], 4), bias, multiplier)


def pack_columns(matrix: Matrix) -> Packed:
    """For each 8 rows, column after column, bytes ``w + 128``, the first row in the lowest."""
    groups = -(-matrix.rows // 8)
    padded = np.zeros((groups * 8, matrix.cols), dtype=np.int16)
    padded[: matrix.rows] = matrix.weight
    columns = (padded + 128).astype(np.uint8).reshape(groups, 8, matrix.cols).transpose(0, 2, 1)
    words = np.ascontiguousarray(columns).reshape(-1).view("<u4")
    return Packed(words.astype(np.uint32), complete=False)


def reads_spikes(matrix: Matrix) -> bool:
    """Tell whether the matrix reads nothing but -1, 0 and 1."""
    return matrix.input_bits == 2


def reads_spikes_tall(matrix: Matrix) -> bool:
    """Tell whether it does, and looking for spikes costs less than they save over DSP kernels."""
    return reads_spikes(matrix) and matrix.rows >= 16


def fits_row_pairs(matrix: Matrix) -> bool:
    """Tell whether ``256 A + B`` fits 32 bits, and multipliers have room for the shift."""
    bound = _pad(matrix.accumulator_bound(), matrix.rows)
    pair = 256 * bound[0::2] + bound[1::2]
    scaled = matrix.multiplier.astype(np.int64) << matrix.shift
    return bool(pair.max() <= INT32_MAX and scaled.max() <= INT32_MAX)


def _pad(values: Ints, rows: int) -> Ints:
    result = np.zeros(round_up(rows), dtype=np.int64)
    result[:rows] = values
    return result


def _padded(matrix: Matrix) -> NDArray[np.int8]:
    padded = np.zeros((round_up(matrix.rows), round_up(matrix.cols)), dtype=np.int8)
    padded[: matrix.rows, : matrix.cols] = matrix.weight
    return padded


def _tiles(weight: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return [groups of 4 rows, groups of 4 columns, 4, 4]."""
    rows, cols = weight.shape
    return weight.reshape(rows // 4, 4, cols // 4, 4).transpose(0, 2, 1, 3)


def _stream(matrix: Matrix, words: NDArray[np.generic], bias: Ints, multiplier: Ints) -> Packed:
    """Return groups of 4 rows: start of the accumulators, tiles, multipliers."""
    groups = words.shape[0]
    parts = [
        bias.reshape(groups, 4),
        words.astype(np.int64).reshape(groups, -1),
        _pad(multiplier, matrix.rows).reshape(groups, 4),
    ]
    stream = np.concatenate(parts, axis=1).reshape(-1)
    return Packed((stream & 0xFFFFFFFF).astype(np.uint32), complete=True)


def fits_always(matrix: Matrix) -> bool:
    """Tell that a kernel takes every matrix."""
    return True


@dataclass(frozen=True)
class MatvecKernel:
    """A function with the prototype of ``ef_matvec``.

    Parameters
    ----------
    name : str
        Name of the function and of its file (``edgeflow.codegen.sources``).
    kernel_set : str
        What a core must offer: a name out of the ``kernels`` list of its file in
        ``targets/cores``. "c" runs everywhere.
    pack : callable
        Lays the weights out as the kernel reads them.
    fits : callable
        Tells whether the kernel is exact on a matrix.
    """

    name: str
    kernel_set: str
    pack: Callable[[Matrix], Packed]
    fits: Callable[[Matrix], bool] = fits_always


_COLUMNS = MatvecKernel("ef_add_columns_s8", "c", pack_columns, reads_spikes)

#: Within a set, the fastest first.
MATVEC_KERNELS = (
    replace(_COLUMNS, kernel_set="dsp", fits=reads_spikes_tall),
    MatvecKernel("ef_matvec_pair_s8_s16_dsp", "dsp", pack_row_pairs, fits_row_pairs),
    MatvecKernel("ef_matvec_s8_s16_dsp", "dsp", pack_tiles),
    _COLUMNS,
    MatvecKernel("ef_matvec_s8_s16", "c", pack_rows),
)


def choose_kernel(matrix: Matrix, kernel_sets: Sequence[str]) -> MatvecKernel:
    """Return the first kernel of the preferred sets that is exact on `matrix`.

    Parameters
    ----------
    matrix : Matrix
    kernel_sets : sequence of str
        In order of preference, as in the core's file; or names of kernels.

    Raises
    ------
    TargetError
        If there is none.
    """
    for name in kernel_sets:
        for kernel in MATVEC_KERNELS:
            if name in (kernel.kernel_set, kernel.name) and kernel.fits(matrix):
                return kernel
    known = [k.kernel_set for k in MATVEC_KERNELS] + [k.name for k in MATVEC_KERNELS]
    raise TargetError(
        f"no kernel among '{', '.join(kernel_sets)}' takes a {matrix.rows} x {matrix.cols} matrix "
        f"of {matrix.input_bits}-bit values; there are {', '.join(dict.fromkeys(known))}"
    )

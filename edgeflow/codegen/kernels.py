"""Which matvec kernels there are, which core can run them, how their weights are packed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from edgeflow.codegen.fits import (
    fits_always,
    fits_bytes,
    fits_bytes_down,
    fits_delta_block_vectors,
    fits_delta_blocks,
    fits_delta_column_pairs,
    fits_delta_vectors,
    fits_dot,
    fits_dot_bytes,
    fits_even_groups,
    fits_even_row_pairs,
    fits_gathered,
    fits_gathered_bytes,
    fits_halfwords,
    fits_lanes,
    fits_long_pairs,
    fits_narrow,
    fits_nibble_pair_bytes,
    fits_nibble_pairs,
    fits_nibbles,
    fits_numbered,
    fits_numbered_fours,
    fits_offsets,
    fits_row_pairs,
    fits_row_quads,
    fits_split,
    holds_shift,
    is_delta,
    reads_spikes,
    scales_down,
)
from edgeflow.codegen.packing.delta import (
    pack_delta_bytes,
    pack_delta_halfwords,
    pack_delta_long,
    pack_delta_row_pairs,
    pack_delta_vectors,
)
from edgeflow.codegen.packing.delta_sparse import (
    DELTA_COLUMN_PAIRS,
    DELTA_COLUMNS_OF_EIGHT,
    DELTA_COLUMNS_OF_FOUR,
    DELTA_VECTORS,
    pack_delta_sparse_columns,
    pack_delta_sparse_rows,
    pack_delta_sparse_vectors,
)
from edgeflow.codegen.packing.dense import (
    pack_byte_columns,
    pack_columns,
    pack_delta_columns,
    pack_dot_tiles,
    pack_eight_rows,
    pack_four_rows,
    pack_halfwords,
    pack_row_pairs,
    pack_rows,
    pack_split,
    pack_tiles,
)
from edgeflow.codegen.packing.int4 import (
    pack_nibble_pairs,
    pack_nibbles,
    pack_offset_nibbles,
    pack_row_quads,
    pack_split_nibble_pairs,
)
from edgeflow.codegen.packing.packed import Packed
from edgeflow.codegen.packing.single import (
    SINGLES,
    SINGLES_APART,
    SINGLES_GATHERED,
    SINGLES_NEAR,
    pack_singles_by_distance,
    pack_singles_by_number,
    pack_singles_by_sign,
    pack_singles_gathered,
    pack_singles_in_fours,
)
from edgeflow.codegen.packing.sparse import (
    COLUMN_PAIRS,
    COLUMNS_OF_EIGHT,
    COLUMNS_OF_FOUR,
    GATHERED_BYTES,
    GATHERED_HALFWORDS,
    NUMBERED,
    TILES,
    SparseFormat,
    pack_sparse_columns,
    pack_sparse_gathered,
    pack_sparse_halfwords,
    pack_sparse_numbered,
    pack_sparse_pairs,
    pack_sparse_tiles,
)
from edgeflow.errors import TargetError
from edgeflow.program.matrix import Matrix


@dataclass(frozen=True)
class MatvecKernel:
    """A function with the prototype of ``ef_matvec``.

    A delta matrix takes kernels of its own, which add what changed, and all others too: these
    read x_hat, which ``ef_hold_matvec`` makes for them.

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
    weight_bits : int
        What it stores a weight in; the goal of ``edgeflow compile`` decides whether it may.
    delta : bool
        It is for delta matrices only.
    sparse : SparseFormat, optional
        The blocks that it stores, of any matrix that it fits; None: all weights.
    """

    name: str
    kernel_set: str
    pack: Callable[[Matrix], Packed]
    fits: Callable[[Matrix], bool] = fits_always
    weight_bits: int = 8
    delta: bool = False
    sparse: SparseFormat | None = None

    @property
    def by_tvm(self) -> bool:
        """Tell whether TVM writes the kernel's body."""
        return self.kernel_set.startswith("tvm")

    def body(self, matrix: Matrix) -> "TvmBody":
        """Return what TVM has to write for a matrix."""
        return TvmBody(self.name, matrix.rows, matrix.cols, matrix.shift)


@dataclass(frozen=True, order=True)
class TvmBody:
    """A matrix-vector product that TVM writes for one shape.

    Parameters
    ----------
    kernel : str
    rows, cols, shift : int
    """

    kernel: str
    rows: int
    cols: int
    shift: int

    @property
    def symbol(self) -> str:
        """Name of the C function; it takes weights, x and y."""
        return f"{self.kernel}_{self.rows}x{self.cols}_{self.shift}"


#: Within a set, in the order of preference, which holds where costs were not measured
#: (``edgeflow.codegen.choice``); what stands behind a kernel that takes every matrix is for who
#: asks for it: smaller, or faster at the cost of flash.
MATVEC_KERNELS = (
    MatvecKernel(
        "ef_delta_matvec_s8_s16_mve", "mve", pack_delta_vectors, fits_delta_vectors, delta=True
    ),
    MatvecKernel(
        "ef_delta_matvec_sparse_8x1_s8_s16_mve",
        "mve",
        pack_delta_sparse_vectors,
        fits_delta_block_vectors,
        delta=True,
        sparse=DELTA_VECTORS,
    ),
    MatvecKernel("ef_matvec_s8_s8_mve", "mve", partial(pack_eight_rows, lanes=16), fits_bytes_down),
    MatvecKernel(
        "ef_matvec_shift_s8_s8_mve",
        "mve",
        partial(pack_eight_rows, lanes=16, shift=False),
        fits_bytes,
    ),
    MatvecKernel("ef_matvec_split_s8_s16_mve", "mve", pack_split, fits_split),
    MatvecKernel("ef_matvec_s8_s16_mve", "mve", partial(pack_eight_rows, lanes=8), scales_down),
    MatvecKernel(
        "ef_matvec_shift_s8_s16_mve", "mve", partial(pack_eight_rows, lanes=8, shift=False)
    ),
    MatvecKernel(
        "ef_matvec_s4_s8_mve", "mve", pack_nibble_pairs, fits_nibble_pair_bytes, weight_bits=4
    ),
    MatvecKernel(
        "ef_matvec_split_s4_s16_mve",
        "mve",
        pack_split_nibble_pairs,
        fits_nibble_pairs,
        weight_bits=4,
    ),
    MatvecKernel(
        "ef_matvec_sparse_8x1_s8_s8_mve",
        "mve",
        partial(pack_sparse_gathered, form=GATHERED_BYTES),
        fits_gathered_bytes,
        sparse=GATHERED_BYTES,
    ),
    MatvecKernel(
        "ef_matvec_sparse_8x1_s8_s16_mve",
        "mve",
        partial(pack_sparse_gathered, form=GATHERED_HALFWORDS),
        fits_gathered,
        sparse=GATHERED_HALFWORDS,
    ),
    MatvecKernel(
        "ef_matvec_sparse_1x1_s8_s16_mve",
        "mve",
        pack_singles_gathered,
        fits_gathered,
        sparse=SINGLES_GATHERED,
    ),
    MatvecKernel(
        "ef_delta_matvec_pair_s8_s16_dsp",
        "dsp",
        pack_delta_row_pairs,
        fits_even_row_pairs,
        delta=True,
    ),
    MatvecKernel(
        "ef_delta_matvec_s8_s16_dsp", "dsp", pack_delta_bytes, fits_long_pairs, delta=True
    ),
    MatvecKernel(
        "ef_delta_matvec_pair_s16_s16_dsp",
        "dsp",
        pack_delta_halfwords,
        fits_even_groups,
        weight_bits=16,
        delta=True,
    ),
    MatvecKernel(
        "ef_delta_matvec_s16_s16_dsp",
        "dsp",
        pack_delta_long,
        fits_long_pairs,
        weight_bits=16,
        delta=True,
    ),
    MatvecKernel(
        "ef_delta_matvec_sparse_4x2_s8_s16_dsp",
        "dsp",
        partial(pack_delta_sparse_rows, form=DELTA_COLUMN_PAIRS),
        fits_delta_column_pairs,
        delta=True,
        sparse=DELTA_COLUMN_PAIRS,
    ),
    MatvecKernel(
        "ef_delta_matvec_sparse_4x1_s8_s16_dsp",
        "dsp",
        partial(pack_delta_sparse_rows, form=DELTA_COLUMNS_OF_FOUR),
        fits_delta_blocks,
        delta=True,
        sparse=DELTA_COLUMNS_OF_FOUR,
    ),
    MatvecKernel("ef_add_columns_s8_dsp", "dsp", pack_columns, fits_lanes),
    MatvecKernel(
        "ef_matvec_narrow_s16_s16_dsp", "dsp", pack_halfwords, fits_narrow, weight_bits=16
    ),
    MatvecKernel("ef_matvec_pair_s8_s16_dsp", "dsp", pack_row_pairs, fits_row_pairs),
    MatvecKernel("ef_matvec_s8_s16_dsp", "dsp", pack_tiles),
    MatvecKernel("ef_matvec_s16_s16_dsp", "dsp", pack_halfwords, fits_halfwords, weight_bits=16),
    MatvecKernel("ef_matvec_s4_s16_dsp", "dsp", pack_row_quads, fits_row_quads, weight_bits=4),
    MatvecKernel(
        "ef_matvec_wide_s4_s16_dsp", "dsp", pack_offset_nibbles, fits_nibbles, weight_bits=4
    ),
    MatvecKernel(
        "ef_matvec_sparse_4x4_pair_s8_s16_dsp",
        "dsp",
        partial(pack_sparse_pairs, form=TILES),
        fits_row_pairs,
        sparse=TILES,
    ),
    MatvecKernel(
        "ef_matvec_sparse_4x2_pair_s8_s16_dsp",
        "dsp",
        partial(pack_sparse_pairs, form=COLUMN_PAIRS),
        fits_row_pairs,
        sparse=COLUMN_PAIRS,
    ),
    MatvecKernel(
        "ef_matvec_sparse_4x1_pair_s8_s16_dsp",
        "dsp",
        partial(pack_sparse_pairs, form=COLUMNS_OF_FOUR),
        fits_row_pairs,
        sparse=COLUMNS_OF_FOUR,
    ),
    MatvecKernel("ef_matvec_sparse_4x4_s8_s16_dsp", "dsp", pack_sparse_tiles, sparse=TILES),
    MatvecKernel(
        "ef_matvec_sparse_4x4_s16_s16_dsp",
        "dsp",
        pack_sparse_halfwords,
        holds_shift,
        weight_bits=16,
        sparse=TILES,
    ),
    MatvecKernel(
        "ef_matvec_s8_s8_neon_dot", "neon_dot", partial(pack_dot_tiles, split=False), fits_dot_bytes
    ),
    MatvecKernel(
        "ef_matvec_s8_s16_neon_dot", "neon_dot", partial(pack_dot_tiles, split=True), fits_dot
    ),
    MatvecKernel(
        "ef_matvec_sparse_1x1_s8_s16_dsp",
        "dsp",
        partial(pack_singles_in_fours, wide=False),
        fits_numbered_fours,
        sparse=SINGLES,
    ),
    MatvecKernel(
        "ef_matvec_sparse_1x1_s16_s16_dsp",
        "dsp",
        partial(pack_singles_in_fours, wide=True),
        holds_shift,
        weight_bits=16,
        sparse=SINGLES,
    ),
    MatvecKernel("ef_matvec_s8_s16_neon", "neon", partial(pack_byte_columns, multiple=4)),
    # dense products without SIMD cost more than the columns of a few spikes
    MatvecKernel("ef_add_columns_s8", "armv7m", pack_columns, reads_spikes),
    MatvecKernel("ef_matvec_s8_s16_armv7m", "armv7m", pack_byte_columns),
    MatvecKernel(
        "ef_matvec_sparse_1x1_s8_s16_armv7m",
        "armv7m",
        pack_singles_by_number,
        fits_numbered,
        sparse=SINGLES,
    ),
    MatvecKernel("ef_add_columns_s8", "armv6m", pack_columns, reads_spikes),
    MatvecKernel("ef_matvec_s8_s16_armv6m", "armv6m", partial(pack_byte_columns, offset=128)),
    MatvecKernel(
        "ef_matvec_sparse_8x1_s8_s16_armv6m",
        "armv6m",
        pack_sparse_numbered,
        fits_numbered,
        sparse=NUMBERED,
    ),
    MatvecKernel(
        "ef_matvec_sparse_1x1_s8_s16_armv6m",
        "armv6m",
        pack_singles_by_sign,
        fits_offsets,
        sparse=SINGLES,
    ),
    MatvecKernel("ef_add_columns_s8", "rv32", pack_columns, reads_spikes),
    MatvecKernel("ef_matvec_s8_s16_rv32", "rv32", pack_byte_columns),
    MatvecKernel(
        "ef_matvec_sparse_1x1_s8_s16_rv32", "rv32", pack_singles_by_distance, sparse=SINGLES_NEAR
    ),
    MatvecKernel("ef_add_columns_s8", "c", pack_columns, reads_spikes),
    MatvecKernel("ef_delta_matvec_s8_s16", "c", pack_delta_columns, is_delta, delta=True),
    MatvecKernel(
        "ef_delta_matvec_sparse_8x1_s8_s16",
        "c",
        pack_delta_sparse_columns,
        is_delta,
        delta=True,
        sparse=DELTA_COLUMNS_OF_EIGHT,
    ),
    MatvecKernel("ef_matvec_s8_s16", "c", pack_rows),
    MatvecKernel("ef_matvec_s4_s16", "c", pack_nibbles, fits_nibbles, weight_bits=4),
    MatvecKernel(
        "ef_matvec_sparse_8x1_s8_s16",
        "c",
        partial(pack_sparse_columns, form=COLUMNS_OF_EIGHT),
        sparse=COLUMNS_OF_EIGHT,
    ),
    MatvecKernel(
        "ef_matvec_sparse_1x1_s8_s16",
        "c",
        partial(pack_sparse_columns, form=SINGLES_APART),
        sparse=SINGLES_APART,
    ),
    # written by TVM for each shape: edgeflow/codegen/tvm/matvec.py
    MatvecKernel("ef_matvec_4x8_s8_s16_tvm_mve", "tvm_mve", pack_four_rows, holds_shift),
    MatvecKernel(
        "ef_matvec_shift_4x8_s8_s16_tvm_mve", "tvm_mve", partial(pack_four_rows, shift=False)
    ),
    MatvecKernel("ef_matvec_pair_s8_s16_tvm_dsp", "tvm_dsp", pack_row_pairs, fits_row_pairs),
    MatvecKernel("ef_matvec_4x4_s8_s16_tvm_dsp", "tvm_dsp", pack_tiles),
    MatvecKernel(
        "ef_matvec_s16_s16_tvm_dsp", "tvm_dsp", pack_halfwords, fits_halfwords, weight_bits=16
    ),
    MatvecKernel("ef_matvec_8x1_s8_s16_tvm", "tvm", pack_byte_columns),
    MatvecKernel("ef_matvec_4x1_s8_s16_tvm", "tvm", partial(pack_byte_columns, rows=4)),
)


def kernel_named(name: str) -> MatvecKernel:
    """Return a kernel of `MATVEC_KERNELS`."""
    return next(kernel for kernel in MATVEC_KERNELS if kernel.name == name)


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

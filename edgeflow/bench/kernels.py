"""Matrix-vector kernels one by one: costs by shape and format, and outputs that differ."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from edgeflow.bench.measure import measure_layer
from edgeflow.codegen.backends import kernel_sets, owner
from edgeflow.codegen.kernels import MatvecKernel, kernels_of
from edgeflow.codegen.sparse import preferred_block
from edgeflow.errors import TargetError
from edgeflow.program.fixedpoint import Ints, symmetric_max
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes import Linear
from edgeflow.targets.board import BoardSpec

#: (columns, rows); the last ones are odd.
SHAPES = ((32, 96), (64, 192), (128, 384), (6, 192), (63, 191), (61, 189), (37, 45), (130, 50))


@dataclass(frozen=True)
class Format:
    """Widths of weights and activations in bits; 2-bit activations are spikes."""

    weight_bits: int
    activation_bits: int


_WIDTHS = ((8, 12), (8, 8), (8, 16), (8, 2), (4, 12), (4, 8), (4, 16))
FORMATS = {f"w{w}a{a}": Format(w, a) for w, a in _WIDTHS}


@dataclass(frozen=True)
class KernelRow:
    """Instructions, code size and mismatches of a kernel for one matrix.

    Parameters
    ----------
    kernel, core, format : str
        `format` is a key of `FORMATS`.
    rows, cols : int
    density : float
        Share of the blocks of `block` rows and columns that are not zero.
    block : tuple of int
    instructions : float
        Mean of a call, requantization and the call itself included.
    instructions_per_mac : float
    text_bytes : int
        Code of the kernel.
    mismatches : int
        Calls, among random and extreme inputs, that gave other bits than the reference.
    """

    kernel: str
    core: str
    format: str
    rows: int
    cols: int
    density: float
    block: tuple[int, int]
    instructions: float
    instructions_per_mac: float
    text_bytes: int
    mismatches: int


def bench_matrix(
    rows: int,
    cols: int,
    form: Format,
    seed: int = 0,
    density: float = 1.0,
    block: tuple[int, int] = (1, 1),
) -> Matrix:
    """Return a random matrix with weights as training leaves them and outputs over all of int16.

    Weights are normal with a deviation of a fifth of their range, so that the largest magnitude
    of a row is near its end, as after scaling row by row. Of the blocks of `block` rows and columns
    a share of `density`, any of them, is left; the others are zero.
    """
    rng = np.random.default_rng([seed, rows, cols])
    limit = symmetric_max(form.weight_bits)
    weight = np.clip(np.round(rng.normal(0, limit / 5, (rows, cols))), -limit, limit)
    if density < 1:
        height, width = -(-rows // block[0]), -(-cols // block[1])
        stays = rng.permutation(height * width) < round(density * height * width)
        mask = np.kron(stays.reshape(height, width), np.ones(block))[:rows, :cols]
        # what stays is not zero: a block has exactly its share
        weight = np.where(weight == 0, 1, weight) * mask
    reach = symmetric_max(form.activation_bits)
    bias = np.round(rng.uniform(-1, 1, rows) * reach * limit / 4)
    # the largest accumulator of a row comes out at 1 to 2 times full scale: some saturate
    bound = np.abs(weight).sum(axis=1) * reach + np.abs(bias) + 1
    multiplier = rng.uniform(1, 2, rows) * 32767 / bound * 2.0**31
    return Matrix(
        weight.astype(np.int8),
        bias.astype(np.int32),
        np.minimum(multiplier, 2**30 - 1).astype(np.int32),
        1,
        form.activation_bits,
    )


def bench_inputs(matrix: Matrix, steps: int, seed: int = 0) -> NDArray[np.int16]:
    """Return int16 [steps, cols]: random values, then some that drive rows to their limits."""
    rng = np.random.default_rng([seed, 1])
    limit = symmetric_max(matrix.input_bits)
    x: Ints = rng.integers(-limit, limit + 1, (steps, matrix.cols))
    extremes = max(1, steps // 2)
    rows = rng.integers(0, matrix.rows, extremes)
    sign = np.where(matrix.weight[rows] < 0, -1, 1) * rng.choice([-1, 1], (extremes, 1))
    x[-extremes:] = sign * limit
    return x.astype(np.int16)


def runnable(board: BoardSpec, names: Iterable[str] | None = None) -> list[MatvecKernel]:
    """Return the kernels that a board's core can run, the preferred ones first.

    Raises
    ------
    TargetError
        If a name is not among them.
    """
    sets = kernel_sets(board.core, "auto")
    found = {kernel.name: kernel for kernel in kernels_of(sets)}
    if names is None:
        return list(found.values())
    missing = [name for name in names if name not in found]
    if missing:
        raise TargetError(
            f"{board.core.name} has no kernel '{missing[0]}'; there are {', '.join(found)}"
        )
    return [found[name] for name in names]


def bench_kernels(
    board: BoardSpec,
    *,
    shapes: Sequence[tuple[int, int]] = SHAPES,
    formats: Sequence[str] = ("w8a12",),
    kernels: Sequence[str] | None = None,
    densities: Sequence[float] = (1.0,),
    block: tuple[int, int] | None = None,
    steps: int = 16,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[KernelRow]:
    """Count the instructions of each kernel for each shape and format that it takes.

    Parameters
    ----------
    board : BoardSpec
        An emulated one.
    shapes : sequence of (cols, rows)
    formats : sequence of str
        Keys of `FORMATS`.
    kernels : sequence of str, optional
        Names; default: all that the core can run, block-sparse ones where `densities` are below 1.
    densities : sequence of float
        Shares of the blocks that are not zero, 0..1.
    block : tuple of int, optional
        Rows and columns of a block; default: what a block-sparse kernel stores, and what is best
        on the core for others (``edgeflow.codegen.sparse.preferred_block``).
    steps : int
        Calls of each, half of them with inputs that drive a row to its limit.
    progress : callable, optional
        Called with what is done, all there is to do, and the kernel at work.

    Returns
    -------
    list of KernelRow

    Raises
    ------
    TargetError
        If a format or kernel is unknown, or the board is not emulated.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise TargetError(f"unknown format '{unknown[0]}'; there are {', '.join(FORMATS)}")
    cases = []
    for kernel in runnable(board, kernels):
        shape = block
        if shape is None:
            stored = kernel.sparse or preferred_block(board.core)
            shape = stored.rows, stored.cols
        for form, (cols, rows), density in product(formats, shapes, densities):
            matrix = bench_matrix(rows, cols, FORMATS[form], density=density, block=shape)
            pointless = kernel.sparse is not None and density == 1 and kernels is None
            if kernel.is_exact_for(matrix) and not pointless:
                cases.append((kernel, form, matrix, density, shape))
    result = []
    for done, (kernel, form, matrix, density, shape) in enumerate(cases):
        if progress is not None:
            progress(done, len(cases), kernel.name)
        x = bench_inputs(matrix, steps)
        measured = measure_layer(Linear("layer", matrix), board, x, [kernel.name])
        result.append(
            KernelRow(
                kernel=kernel.name,
                core=board.core.name,
                format=form,
                rows=matrix.rows,
                cols=matrix.cols,
                density=density,
                block=shape,
                instructions=measured.instructions,
                instructions_per_mac=measured.instructions / (matrix.rows * matrix.cols),
                text_bytes=measured.text_bytes[owner(kernel).symbol(kernel, matrix)],
                mismatches=measured.mismatches,
            )
        )
    return result

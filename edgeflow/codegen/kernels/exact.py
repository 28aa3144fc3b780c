"""Predicates that prove a kernel exact on a matrix, from its weights, widths and multipliers.

They are joined by ``&``. Whether an exact kernel is worth its cost is not theirs to say: that is
``edgeflow.codegen.choice``, by measured costs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgeflow.codegen.layouts.delta_blocks import MAX_OFFSET_ROWS
from edgeflow.codegen.layouts.dense import halfword_shift
from edgeflow.program.fixedpoint import INT16_MAX, INT32_MAX
from edgeflow.program.matrix import Matrix


@dataclass(frozen=True)
class Exact:
    """A condition on matrices.

    Parameters
    ----------
    about : str
        The condition in words, for the documentation.
    test : callable
        Tells whether a matrix meets it.
    """

    about: str
    test: Callable[[Matrix], bool]

    def __call__(self, matrix: Matrix) -> bool:
        return self.test(matrix)

    def __and__(self, other: "Exact") -> "Exact":
        about = "; ".join(text for text in (self.about, other.about) if text)
        return Exact(about, lambda matrix: self(matrix) and other(matrix))


def condition(about: str) -> Callable[[Callable[[Matrix], bool]], Exact]:
    """Return a decorator that makes a function of a matrix an `Exact`."""
    return lambda test: Exact(about, test)


#: Every matrix.
ANY = Exact("", lambda matrix: True)


@condition("ratios below 1")
def ratios_below_1(matrix: Matrix) -> bool:
    """Tell whether multipliers of 32 bits have room for the shift less 1."""
    return int(matrix.multiplier.max()) << (matrix.shift - 1) <= INT32_MAX


@condition("ratios below 1/2")
def ratios_below_half(matrix: Matrix) -> bool:
    """Tell whether multipliers of 32 bits have room for the whole shift."""
    return int(matrix.multiplier.max()) << matrix.shift <= INT32_MAX


@condition("ratios below 128")
def halfwords_hold_shift(matrix: Matrix) -> bool:
    """Tell whether multipliers, and weights of 16 bits, together have room for the whole shift."""
    return halfword_shift(matrix) is not None


@condition("x of -1, 0 and 1")
def reads_spikes(matrix: Matrix) -> bool:
    """Tell whether the matrix reads spikes: nothing but -1, 0 and 1."""
    return matrix.input_bits == 2


@condition("magnitudes of a row add up to 32767 at most")
def rows_fit_16_bits(matrix: Matrix) -> bool:
    """Tell whether the sum of the magnitudes of each row's weights fits 16 bits."""
    return int(np.abs(matrix.weight.astype(np.int64)).sum(axis=1).max()) <= INT16_MAX


@condition("weights within ±7")
def weights_fit_4_bits(matrix: Matrix) -> bool:
    """Tell whether all weights are within int4, -8 left out."""
    return int(np.abs(matrix.weight).max()) <= 7


@condition("delta matrices")
def is_delta(matrix: Matrix) -> bool:
    """Tell whether the matrix is a delta one: it has a threshold."""
    return matrix.threshold > 0


@condition("even groups of columns")
def updates_pairs(matrix: Matrix) -> bool:
    """Tell whether columns of a delta matrix are updated in pairs: its groups are even."""
    return matrix.group % 2 == 0


@condition(f"at most {MAX_OFFSET_ROWS} rows")
def offsets_fit_16_bits(matrix: Matrix) -> bool:
    """Tell whether offsets of sums in bytes fit 16 bits."""
    return matrix.rows <= MAX_OFFSET_ROWS


def columns(most: int, least: int = 1) -> Exact:
    """Return the condition of `least` to `most` columns.

    Up to `most`, their indices fit a byte, a copy of x the stack, or x the registers. From `least`
    on there are the blocks that a kernel reads without asking.
    """
    about = f"{least} to {most} columns" if least > 1 else f"at most {most} columns"
    return Exact(about, lambda matrix: least <= matrix.cols <= most)


def input_bits(most: int) -> Exact:
    """Return the condition of x of at most this many bits."""
    return Exact(f"x of at most {most} bits", lambda matrix: matrix.input_bits <= most)


def sums_fit(bits: int, first: int = 0, step: int = 1) -> Exact:
    """Return the condition that accumulators fit this many bits for every input.

    Parameters
    ----------
    bits : int
        Sign included.
    first, step : int
        Rows that it is asked of: `first`, ``first + step``, ...
    """
    which = "" if step == 1 else f" in rows {first}, {first + step}, ..."

    def test(matrix: Matrix) -> bool:
        bound = matrix.accumulator_bound()[first::step]
        return int(bound.max(initial=0)) < 1 << (bits - 1)

    return Exact(f"sums of {bits} bits{which}", test)


#: ``256 A`` of each first row A of a pair fits 32 bits, with multipliers that hold the shift.
row_pairs = ratios_below_half & sums_fit(24, 0, 2)
#: A change of x fits 16 bits, and multipliers hold the shift.
changes_fit = is_delta & input_bits(15) & ratios_below_half

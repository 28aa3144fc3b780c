"""Predicates that prove a kernel exact on a matrix, from its weights, widths and multipliers.

Predicates are joined by ``&``. Whether an exact kernel is worth its cost is decided by
``edgeflow.codegen.choice``, from measured costs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgeflow.codegen.layouts.delta import MAX_OFFSET_ROWS
from edgeflow.codegen.layouts.dense import halfword_shift
from edgeflow.program.fixedpoint import INT16_MAX, INT32_MAX, largest_magnitude
from edgeflow.program.matrix import Matrix

#: Columns after which ``ef_matvec_wide_s8_s16_dsp`` keeps sums aside, and how many more the first
#: part may have.
PART, PART_REST = 64, 6


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
        return bool(self.test(matrix))

    def __and__(self, other: "Exact") -> "Exact":
        about = "; ".join(text for text in (self.about, other.about) if text)
        return Exact(about, lambda matrix: self(matrix) and other(matrix))


#: Every matrix.
ANY = Exact("", lambda matrix: True)
#: Multipliers of 32 bits have room for the shift less 1; for the whole shift.
ratios_below_1 = Exact("ratios below 1", lambda m: _shifted(m, m.shift - 1) <= INT32_MAX)
ratios_below_half = Exact("ratios below 1/2", lambda m: _shifted(m, m.shift) <= INT32_MAX)
#: Multipliers, and weights of 16 bits, together have room for the whole shift.
halfwords_hold_shift = Exact("ratios below 128", lambda m: halfword_shift(m) is not None)
reads_spikes = Exact("x of -1, 0 and 1", lambda m: m.input_bits == 2)
rows_fit_16_bits = Exact(
    "magnitudes of a row add up to 32767 at most",
    lambda m: np.abs(m.weight.astype(np.int64)).sum(axis=1).max() <= INT16_MAX,
)
#: All weights are within int4, -8 left out.
weights_fit_4_bits = Exact("weights within ±7", lambda m: np.abs(m.weight).max() <= 7)
is_delta = Exact("delta matrices", lambda m: m.threshold > 0)
#: Columns of a delta matrix are updated in pairs.
updates_pairs = Exact("even groups of columns", lambda m: m.group % 2 == 0)
#: Offsets of sums in bytes fit 16 bits.
offsets_fit_16_bits = Exact(f"at most {MAX_OFFSET_ROWS} rows", lambda m: m.rows <= MAX_OFFSET_ROWS)


def _shifted(matrix: Matrix, shift: int) -> int:
    return int(matrix.multiplier.max()) << shift


def columns(most: int, least: int = 1) -> Exact:
    """Return the condition of `least` to `most` columns.

    Up to `most`, their indices fit a byte, a copy of x the stack, or x the registers. From `least`
    on there are the blocks that a kernel reads without asking.
    """
    about = f"{least} to {most} columns" if least > 1 else f"at most {most} columns"
    return Exact(about, lambda m: least <= m.cols <= most)


def input_bits(most: int) -> Exact:
    """Return the condition of x of at most this many bits."""
    return Exact(f"x of at most {most} bits", lambda m: m.input_bits <= most)


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


def parts_fit(bits: int, first: int, step: int) -> Exact:
    """Return the condition that sums over parts of the columns fit this many bits.

    Parts are `PART` columns, but for the first one, which has what is left over and the bias; rows
    are as of `sums_fit`.
    """

    def test(matrix: Matrix) -> bool:
        magnitude = np.abs(matrix.weight[first::step].astype(np.int64))
        bias = np.abs(matrix.bias[first::step].astype(np.int64))
        # columns are read in pairs; those that are no whole block of 8 may join what is behind them
        for end in range(matrix.cols + matrix.cols % 2, 0, -PART):
            begin = end - PART if end - PART > PART_REST else 0
            part = magnitude[:, begin:end].sum(axis=1) * largest_magnitude(matrix.input_bits)
            part += bias if begin == 0 else 0
            if int(part.max(initial=0)) >= 1 << (bits - 1):
                return False
            if begin == 0:
                break
        return True

    which = f"rows {first}, {first + step}, ..."
    return Exact(f"sums over {PART} columns of {bits} bits in {which}", test)


#: ``256 A`` of each first row A of a pair fits 32 bits, with multipliers that hold the shift.
row_pairs = ratios_below_half & sums_fit(24, 0, 2)
#: The same of every `PART` columns.
row_pairs_in_parts = ratios_below_half & parts_fit(24, 0, 2)
#: Sums of two rows share a word.
nibble_pairs = weights_fit_4_bits & sums_fit(16)
#: Sums of rows A to D of four follow from three words (``ef_matvec_chain_s4_s16_dsp.S``).
chained_rows = (
    weights_fit_4_bits
    & ratios_below_half
    & sums_fit(20, 0, 4)
    & sums_fit(23, 1, 4)
    & sums_fit(20, 2, 4)
    & sums_fit(20, 3, 4)
)
#: A change of x fits 16 bits, and multipliers hold the shift.
changes_fit = is_delta & input_bits(15) & ratios_below_half

"""Resistance of the wires of a passive array: an exact nodal solve.

The circuit, the convention of badcrossbar (Joksas and Mehonic, SoftwareX 12, 100617, 2020)::

    v[0] --r--+--r--+--r--+      word line 0: a wire segment before each cell
              |     |     |      | : the cells g[0, :], from the word line to the bit lines
    v[1] --r--+--r--+--r--+
              |     |     |      under each cell a wire segment of its bit line, which ends
              r     r     r      at virtual ground, where its current is measured
              0     0     0

All segments have the same resistance; drivers and amplifiers have none.

A differential pair is two cells of neighbouring bit lines on one word line (`interleaved`), so that
both see almost the same voltage. No source was found that fixes the order of the bit lines: this
one is EdgeFlow's choice.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow.errors import ImcError

__all__ = ["currents", "effective", "interleaved", "separated"]

Floats = NDArray[np.float64]

#: Most of a cell and of a segment; at both, rounding leaves eight digits of a column's current.
MOST_MICROSIEMENS = 1e6
MOST_OHM = 1e6


def currents(g: ArrayLike, v: ArrayLike, wire_ohm: float) -> Floats:
    """Return the currents out of the bit lines of an array.

    Parameters
    ----------
    g : [rows, cols]
        Conductances of the cells in µS, as for `effective`.
    v : [n, rows] or [rows]
        Voltages of the word lines in volt, of either sign; [rows] is one input, n = 1.
    wire_ohm : float
        Resistance of a wire segment in ohm, as for `effective`.

    Returns
    -------
    [n, cols], in ampere.

    Raises
    ------
    ImcError
        As `effective`, or if `v` has another shape or is not finite.
    """
    true = effective(g, wire_ohm)
    inputs = np.atleast_2d(np.asarray(v, dtype=np.float64))
    if inputs.ndim != 2 or inputs.shape[1] != len(true):
        expected = f"expected [n, {len(true)}], one voltage a word line"
        raise ImcError(f"voltages of shape {list(np.shape(v))}: {expected}")
    if not np.isfinite(inputs).all():
        raise ImcError("voltages that are not finite")
    return 1e-6 * (inputs @ true)


def effective(g: ArrayLike, wire_ohm: float) -> Floats:
    """Return the conductances that give, in an array of ideal wires, the same currents.

    The array is linear, so that they hold for every input: the current of bit line j is the sum of
    ``v[i] * effective[i, j]``. Sums of rows and of columns are at most `g`'s; a single one can be
    larger, that of an open cell too: current takes other paths.

    Rows are added one after the other to the network above them, of which only the admittance
    between the bit lines and the current of each word line into them are kept (block elimination
    of the nodal equations): time grows with ``max(rows, cols)**2 * min(rows, cols)**2``, memory
    with the cells.

    Parameters
    ----------
    g : [rows, cols]
        Conductances of the cells in µS, 0..1e6; 0 is an open cell.
    wire_ohm : float
        Resistance of a wire segment from cell to cell in ohm, 0..1e6, of word and bit lines alike.
        0 returns `g` itself.

    Returns
    -------
    [rows, cols], in µS.

    Raises
    ------
    ImcError
        If `g` is not an array of two dimensions with cells, or if it or `wire_ohm` is out of range
        or NaN.
    """
    cells = np.asarray(g, dtype=np.float64)
    if cells.ndim != 2 or cells.size == 0:
        raise ImcError(f"conductances of shape {list(cells.shape)}: expected [rows, cols]")
    wrong = ~((cells >= 0) & (cells <= MOST_MICROSIEMENS))  # NaN, too
    if wrong.any():
        row, col = np.argwhere(wrong)[0]
        value = f"{cells[row, col]:g} µS in row {row}, column {col}"
        raise ImcError(f"conductance {value}: expected 0..{MOST_MICROSIEMENS:g}")
    if not 0 <= wire_ohm <= MOST_OHM:
        raise ImcError(f"wire resistance {wire_ohm:g} ohm: expected 0..{MOST_OHM:g}")
    if wire_ohm == 0:
        return cells
    megohm = 1e-6 * wire_ohm
    if cells.shape[0] >= cells.shape[1]:
        return np.ascontiguousarray(_solve(cells, megohm))
    # Reciprocity: what bit line j gets from word line i, the latter gets from the former. Read
    # from its ends, the array turned over its other diagonal is the same circuit, with shorter
    # word lines.
    return np.ascontiguousarray(_solve(cells[::-1, ::-1].T, megohm)[::-1, ::-1].T)


def interleaved(plus: ArrayLike, minus: ArrayLike) -> Floats:
    """Return the array [rows, 2 * cols] of differential pairs: bit lines 2j are plus, 2j + 1 minus.

    Parameters
    ----------
    plus, minus : [rows, cols]

    Raises
    ------
    ImcError
        If they have different shapes.
    """
    sides = np.asarray(plus, dtype=np.float64), np.asarray(minus, dtype=np.float64)
    if sides[0].ndim != 2 or sides[0].shape != sides[1].shape:
        shapes = " and ".join(str(list(side.shape)) for side in sides)
        raise ImcError(f"sides of pairs of shapes {shapes}: expected twice [rows, cols]")
    return np.stack(sides, axis=-1).reshape(len(sides[0]), -1)


def separated(pairs: Floats) -> tuple[Floats, Floats]:
    """Return plus and minus [..., cols] of bit lines [..., 2 * cols]: undoes `interleaved`."""
    return pairs[..., 0::2], pairs[..., 1::2]


def _solve(g: Floats, megohm: float) -> Floats:
    """Add the rows of an array one after the other.

    Of the network so far, with bit lines at voltages b, the currents into what is below are
    ``into @ v - admittance @ b``. A segment below each bit line drops b = r I:
    I = (1 + r admittance)^-1 (into @ v), and so for the admittance: positive definite, and no
    difference of near numbers.
    """
    from scipy.linalg.lapack import dposv  # half a second

    rows, cols = g.shape
    network = np.zeros((cols, cols + rows), order="F")  # columns: admittance, then word lines
    admittance = network[:, :cols]
    diagonal = np.diag_indices(cols)
    for row, cells in enumerate(g):
        of_row, network[:, cols + row] = _word_line(cells, megohm)
        admittance += of_row
        matrix = megohm * admittance
        matrix[diagonal] += 1
        known = network[:, : cols + row + 1]
        known[...] = dposv(matrix, known, overwrite_a=True, overwrite_b=True)[1]
    return network[:, cols:].T


def _word_line(cells: Floats, megohm: float) -> tuple[Floats, Floats]:
    """Return what a word line with its cells is to the bit lines.

    These are its admittance [cols, cols] between them, and its currents [cols] into them at 1 V,
    all in µS. The word line's own nodes are eliminated: (L + r D) w = v e_0 + r D b, with D its
    cells and L of a chain that is driven at one end.
    """
    from scipy.linalg.lapack import dptsv

    cols = len(cells)
    diagonal = 2 + megohm * cells
    diagonal[-1] -= 1
    beside = np.full(max(cols - 1, 1), -1.0)
    right = np.zeros((cols, cols + 1), order="F")
    right[0, cols] = 1
    np.fill_diagonal(right, megohm * cells)
    share = dptsv(diagonal, beside, right, overwrite_d=True, overwrite_e=True, overwrite_b=True)[2]
    share *= cells[:, None]
    admittance = -share[:, :cols]
    admittance[np.diag_indices(cols)] += cells
    return admittance, share[:, cols]

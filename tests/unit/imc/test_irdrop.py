"""IR drop: exact currents, drivers and amplifiers at the ends that badcrossbar has them at.

Nothing else would notice wrong losses in the wires: all other tests have ideal ones, or only
compare the losses of two programs.
"""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from edgeflow.errors import ImcError
from edgeflow.imc.irdrop import currents, effective, interleaved, separated

Floats = NDArray[np.float64]

# Currents in ampere of bit lines 0, cols / 2 and cols - 1, and the sum of all magnitudes. Made with
# badcrossbar 1.1.0 (pip install --no-deps badcrossbar==1.1.0; pip install scipy sortedcontainers
# pathvalidate sigfig), g and v as in `seeded`:
#   i = badcrossbar.compute(v[:, None], 1e6 / g, r_i=ohm).currents.output[0]
#   print(*(f"{x:.12e}" for x in (i[0], i[cols // 2], i[-1], abs(i).sum())))
# fmt: off
GOLDENS = {  # rows, cols, g_max in µS, ohm
    (38, 96, 25, 0.35): (-2.929737093265e-06, 1.241603485706e-06, -3.917441342246e-06, 4.012359158603e-04),
    (38, 96, 25, 2.1): (-2.902258706577e-06, 9.861591519550e-07, -3.713610823818e-06, 3.731088816501e-04),
    (38, 96, 167, 0.35): (-1.356539648290e-04, -7.449565580946e-05, -7.927689386675e-05, 6.459228552164e-03),
    (38, 96, 167, 2.1): (-1.251784869287e-04, -4.977302308825e-05, -4.516575236999e-05, 4.537330915357e-03),
    (70, 192, 25, 0.35): (-7.455758565270e-07, 5.128139966886e-07, 1.174573041802e-05, 1.079907752278e-03),
    (70, 192, 25, 2.1): (-4.753020892183e-07, 5.085271710118e-07, 7.973402509144e-06, 8.291184164749e-04),
    (70, 192, 167, 0.35): (-5.455769933221e-05, 7.200036986588e-06, -6.380717496766e-05, 5.899057009727e-03),
    (70, 192, 167, 2.1): (-3.078178768359e-05, 7.538113613722e-07, -1.535247349781e-05, 2.515162172284e-03),
}
# fmt: on


def seeded(rows: int, cols: int, g_max: int) -> tuple[Floats, Floats]:
    """Conductances in µS and voltages of both signs."""
    rng = np.random.default_rng([rows, g_max])
    return rng.uniform(0.02, 1, (rows, cols)) * g_max, rng.uniform(-0.2, 0.2, rows)


@pytest.mark.parametrize(("rows", "cols", "g_max", "ohm"), GOLDENS)
def test_badcrossbar(rows: int, cols: int, g_max: int, ohm: float) -> None:
    g, v = seeded(rows, cols, g_max)
    i = currents(g, v, ohm)[0]
    some = [i[0], i[cols // 2], i[-1], abs(i).sum()]
    assert_allclose(some, GOLDENS[rows, cols, g_max, ohm], rtol=1e-9)


def solved(g: Floats, v: Floats, ohm: float) -> tuple[Floats, Floats]:
    """Solve the whole circuit for voltages [n, rows], branch by branch, in siemens.

    Returns the currents [n, cols] into the bit lines' ends, and the power [n] of all resistors.
    """
    rows, cols = g.shape
    word, bit = np.arange(2 * rows * cols).reshape(2, rows, cols)  # numbers of the nodes
    drivers = np.arange(rows) + 2 * rows * cols
    ends = np.arange(cols) + drivers[-1] + 1
    word_line, bit_line = np.column_stack([drivers, word]), np.vstack([bit, ends])
    start = np.concatenate([word.ravel(), word_line[:, :-1].ravel(), bit_line[:-1].ravel()])
    end = np.concatenate([bit.ravel(), word_line[:, 1:].ravel(), bit_line[1:].ravel()])
    siemens = np.concatenate([1e-6 * g.ravel(), np.full(2 * g.size, 1 / ohm)])
    nodes = np.arange(ends[-1] + 1)
    incidence = (start[:, None] == nodes).astype(float) - (end[:, None] == nodes)
    laplacian = incidence.T @ (siemens[:, None] * incidence)
    inner = slice(0, drivers[0])
    volts = np.zeros((nodes.size, len(v)))
    volts[drivers] = v.T
    volts[inner] = -np.linalg.solve(laplacian[inner, inner], laplacian[inner, drivers] @ v.T)
    return (volts[bit[-1]] / ohm).T, siemens @ (incidence @ volts) ** 2


@st.composite
def arrays(draw: st.DrawFn, most: int = 6) -> Floats:
    """Conductances in µS, 0 (open) to 300."""
    rows, cols = draw(st.integers(1, most)), draw(st.integers(1, most))
    cell = st.just(0.0) | st.floats(0.1, 300)
    cells = draw(st.lists(cell, min_size=rows * cols, max_size=rows * cols))
    return np.array(cells).reshape(rows, cols)


ohms = st.floats(-1, 4).map(lambda power: 10**power)
first_imports_scipy = settings(deadline=None)


@first_imports_scipy
@given(g=arrays(), ohm=ohms)
def test_dense_solve(g: Floats, ohm: float) -> None:
    """Also where a segment conducts no better than a cell, and with open cells."""
    i, _ = solved(g, np.eye(len(g)), ohm)
    assert_allclose(1e-6 * effective(g, ohm), i, rtol=1e-8, atol=1e-10 * i.max() + 1e-18)


@first_imports_scipy
@given(g=arrays(), ohm=ohms)
def test_power_balance(g: Floats, ohm: float) -> None:
    """With all word lines at 1 V, what the bit lines take is what all resistors burn."""
    v = np.ones((1, len(g)))
    _, power = solved(g, v, ohm)
    assert_allclose(currents(g, v, ohm).sum(), power[0], rtol=1e-7, atol=1e-15)


@first_imports_scipy
@given(g=arrays(), ohm=ohms, more=st.floats(1, 10))
def test_passive(g: Floats, ohm: float, more: float) -> None:
    """No negative current, no sum above that of ideal wires, and Rayleigh: more resistance
    anywhere, less current in all."""
    true = effective(g, ohm)
    rounding = 1e-9 * g.max()
    assert (true >= -rounding).all()
    assert (true.sum(axis=0) <= g.sum(axis=0) + rounding).all()
    assert (true.sum(axis=1) <= g.sum(axis=1) + rounding).all()
    assert effective(g, more * ohm).sum() <= true.sum() + rounding
    assert effective(g / more, ohm).sum() <= true.sum() + rounding


@first_imports_scipy
@given(g=arrays(), ohm=ohms, unit=st.floats(0.1, 1e3))
def test_units(g: Floats, ohm: float, unit: float) -> None:
    """Conductances in another unit, and resistances too."""
    scaled = effective(unit * g, ohm / unit)
    assert_allclose(scaled, unit * effective(g, ohm), rtol=1e-9, atol=1e-12 * unit * g.max())


@pytest.mark.parametrize("cells", [1, 2, 3, 96, 300])
@pytest.mark.parametrize("ohm", [1e-3, 0.35, 2.1, 400])
def test_ladder(cells: int, ohm: float) -> None:
    """A word line of equal cells is a ladder that is open at its end: cosh of the way to there.

    So is a bit line of equal cells, seen from its virtual ground. One cell: two segments in series.
    """
    g = 25.0
    rung = g / (1 + 1e-6 * ohm * g)  # a cell with the one segment that it does not share
    step = 2 * np.arcsinh(np.sqrt(1e-6 * ohm * rung) / 2)
    way = np.arange(cells)[::-1] + 0.5
    true = rung * np.cosh(way * step) / np.cosh((cells + 0.5) * step)
    assert_allclose(effective(np.full((1, cells), g), ohm), true[None], rtol=1e-11)
    assert_allclose(effective(np.full((cells, 1), g), ohm), true[::-1, None], rtol=1e-11)
    if cells == 1:
        assert_allclose(true, 1 / (1 / g + 2e-6 * ohm), rtol=1e-11)


@first_imports_scipy
@given(st.lists(st.floats(0.1, 300), min_size=1, max_size=40), ohms)
def test_unequal_ladder(cells: list[float], ohm: float) -> None:
    """The sum over a word line is a continued fraction."""
    resistance = np.inf
    for g in reversed(cells):
        rung = 1e6 / g + ohm
        resistance = ohm + 1 / (1 / rung + 1 / resistance)
    assert_allclose(effective([cells], ohm).sum(), 1e6 / resistance, rtol=1e-10)


@pytest.mark.parametrize("shape", [(38, 96), (96, 38), (256, 70)])
def test_small_resistance(shape: tuple[int, int]) -> None:
    """Of almost ideal wires the first order in r is left, which has a closed form at any size.

    A cell's word line drops the current of each cell k over the segments shared with it, its bit
    line that of each cell m likewise: min(j, k) + 1 of them, and rows - max(i, m).
    """
    rows, cols = shape
    g = np.random.default_rng(0).uniform(0.5, 25, shape)
    i, j = np.arange(rows), np.arange(cols)
    word = np.minimum(j[:, None], j) + 1
    bit = rows - np.maximum(i[:, None], i)
    drop = g * (g @ word + bit @ g)  # of 1 ohm, in µV
    assert_allclose((g - effective(g, 1e-5)) / 1e-5, 1e-6 * drop, rtol=1e-3)
    assert_allclose(effective(g, 1e-12), g, rtol=1e-12)


def test_ideal_wires() -> None:
    g, v = seeded(38, 96, 25)
    assert effective(g, 0) is g
    assert_allclose(currents(g, v, 0), 1e-6 * (v @ g)[None], rtol=1e-12)


def test_several_inputs() -> None:
    """Superposition; and the caller's arrays stay."""
    g, v = seeded(38, 96, 167)
    g.flags.writeable = v.flags.writeable = False
    i = currents(g, np.array([v, -2 * v, abs(v), v + abs(v)]), 2.1)
    assert i.shape == (4, 96)
    assert_allclose(i[0], currents(g, v, 2.1)[0], rtol=1e-12)
    assert_allclose(i[1], -2 * i[0], rtol=1e-12)
    assert_allclose(i[3], i[0] + i[2], atol=1e-12 * abs(i).max())


@pytest.mark.parametrize(
    ("g", "ohm", "message"),
    [
        ([[1, 2], [3, -4]], 1, "conductance -4 µS in row 1, column 1: expected 0..1e+06"),
        ([[1, np.nan]], 1, "conductance nan µS in row 0, column 1: expected 0..1e+06"),
        ([[1], [np.inf]], 0, "conductance inf µS in row 1, column 0: expected 0..1e+06"),
        ([[1.1e6]], 1, "conductance 1.1e+06 µS in row 0, column 0: expected 0..1e+06"),
        ([1, 2], 1, "conductances of shape [2]: expected [rows, cols]"),
        (np.zeros((0, 3)), 1, "conductances of shape [0, 3]: expected [rows, cols]"),
        ([[1]], -0.1, "wire resistance -0.1 ohm: expected 0..1e+06"),
        ([[1]], np.nan, "wire resistance nan ohm: expected 0..1e+06"),
        ([[1]], 1e7, "wire resistance 1e+07 ohm: expected 0..1e+06"),
    ],
)
def test_what_is_no_array(g: Floats, ohm: float, message: str) -> None:
    for solve in (lambda: effective(g, ohm), lambda: currents(g, [1.0], ohm)):
        with pytest.raises(ImcError, match=f"^{re.escape(message)}$"):
            solve()


@pytest.mark.parametrize(
    ("v", "message"),
    [
        ([1, 2, 3], "voltages of shape [3]: expected [n, 2], one voltage a word line"),
        ([[1], [2]], "voltages of shape [2, 1]: expected [n, 2], one voltage a word line"),
        ([[[1, 2]]], "voltages of shape [1, 1, 2]: expected [n, 2], one voltage a word line"),
        ([1, np.inf], "voltages that are not finite"),
    ],
)
def test_what_is_no_input(v: Floats, message: str) -> None:
    with pytest.raises(ImcError, match=f"^{re.escape(message)}$"):
        currents([[1, 2, 3], [4, 5, 6]], v, 0.35)


def test_pairs() -> None:
    """The two cells of a pair are neighbours; of its bit lines' currents both sides come back."""
    plus, minus = np.array([[1.0, 2], [3, 4]]), np.array([[5.0, 6], [7, 8]])
    both = interleaved(plus, minus)
    assert both.tolist() == [[1, 5, 2, 6], [3, 7, 4, 8]]
    assert [side.tolist() for side in separated(both)] == [plus.tolist(), minus.tolist()]
    i = currents(both, [0.1, 0.2], 0)
    assert_allclose(np.subtract(*separated(i)), [[-1.2e-6, -1.2e-6]])
    message = "sides of pairs of shapes [2, 2] and [1, 2]: expected twice [rows, cols]"
    with pytest.raises(ImcError, match=re.escape(message)):
        interleaved(plus, minus[:1])

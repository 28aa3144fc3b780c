"""Widths of weights: their range, mixed ones, and the choice by sensitivity."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeflow.cells import SequenceClassifier
from edgeflow.cells.cells import CELLS
from edgeflow.codegen.choice import choose_kernels
from edgeflow.compression.quantize import quantize
from edgeflow.compression.sensitivity import choose_widths, score, sensitivities
from edgeflow.data.sequences import Sequences
from edgeflow.errors import CompressError
from edgeflow.importers import FloatChain, from_module
from edgeflow.program import Program
from edgeflow.quantization import Affine, Signal, Widths
from edgeflow.targets.core import load_core


def samples(n: int = 32, time: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, time, 3)).astype(np.float32)


def chain_of(cell: str = "gru") -> FloatChain:
    torch.manual_seed(0)
    classes = ["a", "b", "c"]
    model = SequenceClassifier(cell, classes, ["x", "y", "z"], hidden=8, window=12)
    return from_module(model, samples(), classes=classes, window=12)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    bits=st.integers(2, 8),
    spread=st.floats(0, 3),
    input_bits=st.sampled_from([8, 12]),
)
def test_integers_stand_for_what_they_say(
    seed: int, bits: int, spread: float, input_bits: int
) -> None:
    """`real` is within half a step of the weights, and gives the matrix's outputs."""
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((5, 9)) * 10.0 ** rng.uniform(-spread, spread, (5, 1))
    limit = 2 ** (input_bits - 1) - 1
    source = Signal(np.zeros(9), 10.0 ** rng.uniform(-2, 0, 9), input_bits, samples())
    unit = np.abs(weight @ source.scale).max() * limit / 2**15 + 1e-9
    affine = Affine(weight, np.zeros(5), source, unit)
    matrix = affine.quantize(bits)
    real = affine.dequantize(matrix)
    largest = 2 ** (bits - 1) - 1
    assert np.abs(matrix.weight.astype(int)).max(axis=1).tolist() == [largest] * 5
    step = np.abs(weight * source.scale).max(axis=1, keepdims=True) / largest / source.scale
    assert (np.abs(real - weight) <= 0.5001 * step + 1e-6 * np.abs(weight)).all()
    x = rng.integers(-limit, limit + 1, (20, 9))
    exact = (x * source.scale) @ real.T / unit
    inside = np.abs(exact) < 32767
    # one multiplier is rounded to 2**-17 of an accumulator's unit at most
    assert (
        np.abs(matrix.apply(x) - exact)[inside] <= 0.5 + 1e-3 + 1e-4 * np.abs(exact)[inside]
    ).all()


@pytest.mark.parametrize("cell", CELLS)
def test_every_matrix_of_every_cell_has_its_width(cell: str, tmp_path: Path) -> None:
    chain = chain_of(cell)
    program = quantize(chain, samples(), Widths(weight=4))
    for node in program.nodes:
        for field, matrix in node.matrices().items():
            assert np.abs(matrix.weight.astype(int)).max() == 7, (node.name, field)
    names = [f"{n.name}.{field}" for n in program.nodes for field in n.matrices()]
    for name in names:
        mixed = quantize(chain, samples(), Widths(matrices={name: 4}))
        tops = {
            f"{n.name}.{field}": np.abs(m.weight.astype(int)).max()
            for n in mixed.nodes
            for field, m in n.matrices().items()
        }
        assert tops == {other: 7 if other == name else 127 for other in names}
    program.save(tmp_path / "model.onnx")
    x = program.quantize_input(samples(seed=1))
    assert np.array_equal(Program.load(tmp_path / "model.onnx").run(x), program.run(x))


def test_int4_fits_the_kernels_of_four_bits() -> None:
    program = quantize(chain_of(), samples(), Widths(weight=4))
    chosen = choose_kernels(program, load_core("cortex-m4"), optimize="size")
    assert all("_s4_" in choice.kernel for choice in chosen)


def test_widths_are_those_of_the_docs_unless_told() -> None:
    """12 bits of inputs and states, 8 of weights: docs/compression.md, and all accuracies there."""
    program = quantize(chain_of(), samples())
    gru, head = program.nodes
    assert [gru.input_bits, gru.output_bits, head.input_bits] == [12, 12, 12]
    assert np.abs(head.matrices()["matrix"].weight.astype(int)).max() == 127


def test_wrong_widths_are_refused() -> None:
    for wrong in ({"weight": 9}, {"weight": 1}, {"input": 17}, {"matrices": {"rnn.input": 0}}):
        with pytest.raises(CompressError, match="is not in"):
            Widths(**wrong)  # type: ignore[arg-type]
    with pytest.raises(CompressError, match="no matrix 'rnn.weight': use one of rnn.input"):
        quantize(chain_of(), samples(), Widths(matrices={"rnn.weight": 4}))
    widths = Widths(matrices={"rnn": 4, "rnn.input": 6})
    assert [widths.of("rnn", "input"), widths.of("rnn", "recurrent"), widths.of("head", "m")] == [
        6, 4, 8,
    ]  # fmt: skip
    quantize(chain_of(), samples(), widths)


def labelled(chain: FloatChain) -> Sequences:
    """Windows with the decisions of the float model as labels."""
    x = samples(400, seed=3)
    y = chain.run(x)[:, -1].argmax(axis=1)
    return Sequences(list(x), y, np.full(len(x), "a"), x.shape[1])


def test_sensitivities_are_those_of_one_matrix_alone() -> None:
    chain = chain_of()
    data = labelled(chain)
    found = sensitivities(chain, samples(), data, Widths(), bits=2)
    assert [s.matrix for s in found] == ["rnn.input", "rnn.recurrent", "head.matrix"]
    assert [s.weights for s in found] == [24 * 3, 24 * 8, 3 * 8]
    before = score(quantize(chain, samples()), data)
    for s in found:
        after = score(quantize(chain, samples(), Widths(matrices={s.matrix: 2})), data)
        assert s.drop == pytest.approx(100 * (before.value - after.value))
        assert s.loss == pytest.approx(after.loss - before.loss)


def test_chosen_widths_keep_the_bound() -> None:
    chain = chain_of()
    data = labelled(chain)
    before = score(quantize(chain, samples()), data).value
    counts = []
    for bound in (-100.0, 2.0, 8.0, 100.0):
        widths, found = choose_widths(chain, samples(), data, Widths(), max_drop=bound, bits=2)
        after = score(quantize(chain, samples(), widths), data).value
        assert not widths.matrices or 100 * (before - after) <= bound
        counts.append(len(widths.matrices))
        rises = [s.loss / s.weights for s in found]
        assert rises == sorted(rises)
    assert counts[0] == 0 and counts[-1] == 3 and counts == sorted(counts)

"""Inputs at the very edge of what the proofs assume."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeflow.errors import ProgramError
from edgeflow.program import InputFormat, Linear, Matrix, Program
from edgeflow.program.onnx_file import to_onnx
from edgeflow.quantization import Affine, Signal
from tests.random_programs import random_program


def affine(weight: int, bias: int, shift: int, bits: int) -> Matrix:
    return Matrix(
        np.array([[weight]], np.int8),
        np.array([bias], np.int32),
        np.array([2**31 - 1], np.int32),
        shift,
        bits,
    )


def test_a_saturated_output_may_be_the_lowest_int16() -> None:
    """-32768 between layers is one more than 16 symmetric bits: the proof must cover it."""
    first = Linear("a", affine(127, 0, 8, 12))
    form = InputFormat(np.zeros(1, np.float32), np.ones(1, np.float32), 12, ("x",))
    program = Program((first,), form, 1.0)
    assert program.run(np.full((1, 1, 1), -2047, np.int16)).item() == -32768
    with pytest.raises(ProgramError, match="overflow"):
        affine(-127, 2**30 - 1 - 127 * 32767, 1, 16)
    second = Linear("b", affine(-127, 2**30 - 1 - 127 * 32768, 1, 16))
    program = dataclasses.replace(program, nodes=(first, second))
    assert program.run(np.full((1, 1, 1), -2047, np.int16)).item() == 32767


@pytest.mark.parametrize("weight", [0.0, 1e-6])
@pytest.mark.parametrize("bits,unit", [(2, 4 / 32767), (12, 1e-3), (16, 1e-4)])
def test_a_row_of_next_to_nothing_keeps_its_bias(weight: float, bits: int, unit: float) -> None:
    """Pruned rows stand beside others that need a large shift."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((4, 16)) * 0.3
    weights[2] = weight
    bias = np.array([0.1, -0.2, 0.3, 0.0])
    scale = 1.0 if bits == 2 else 2.0 ** (1 - bits)
    source = Signal(np.zeros(16), np.full(16, scale), bits, np.zeros((1, 1, 16), np.float32))
    matrix = Affine(weights, bias, source, unit).quantize()
    x = np.zeros((1, 16), np.int64)
    # half a unit of the accumulator, which is a weight step times an input step
    step = np.abs(weights).max() * scale / 127
    np.testing.assert_allclose(matrix.apply(x)[0] * unit, bias, atol=2 * unit + step / 2)


class TestChangedFiles:
    @pytest.fixture
    def model(self) -> onnx.ModelProto:
        return to_onnx(random_program(1, 6, [9], 4, 12, 12))

    def refused(self, model: onnx.ModelProto, folder: Path, message: str) -> None:
        onnx.save(model, folder / "m.onnx")
        with pytest.raises(ProgramError, match=message):
            Program.load(folder / "m.onnx")

    def test_table(self, model: onnx.ModelProto, tmp_path: Path) -> None:
        tensor = next(t for t in model.graph.initializer if t.name == "sigmoid_table")
        tensor.raw_data = bytes(len(tensor.raw_data))
        self.refused(model, tmp_path, "not the one that this edgeflow writes")

    def test_attribute(self, model: onnx.ModelProto, tmp_path: Path) -> None:
        clamp = next(n for n in model.graph.node if n.op_type == "Clamp")
        clamp.attribute[0].i = 4
        self.refused(model, tmp_path, "not the one that this edgeflow writes")

    def test_function(self, model: onnx.ModelProto, tmp_path: Path) -> None:
        function = next(f for f in model.functions if f.name == "GRU")
        next(n for n in function.node if n.op_type == "Max").op_type = "Min"
        self.refused(model, tmp_path, "not the one that this edgeflow writes")

    @pytest.mark.parametrize(
        "change",
        [
            lambda h: h["input"].update(bits=float("inf")),
            lambda h: h.update(window=float("inf")),
            lambda h: h.update(metadata=[1, 2]),
            lambda h: h.update(rate_hz=float("nan")),
            lambda h: h.update(rate_hz=-1),
            lambda h: h.update(output_scale=float("inf")),
        ],
    )
    def test_header(
        self, model: onnx.ModelProto, tmp_path: Path, change: Callable[[dict], None]
    ) -> None:
        header = json.loads(model.metadata_props[0].value)
        change(header)
        model.metadata_props[0].value = json.dumps(header)
        self.refused(model, tmp_path, ".")


@pytest.mark.parametrize("name", ["ef", "ef_gru", "model", "model_step", "2a", "a b", ""])
def test_layer_names_that_c_cannot_have(name: str) -> None:
    program = random_program(1, 6, [9], 4, 12, 12)
    node = dataclasses.replace(program.nodes[0], name=name)
    with pytest.raises(ProgramError, match="not unique or not an identifier"):
        dataclasses.replace(program, nodes=(node, program.nodes[1]))

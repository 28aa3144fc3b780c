"""Programs: proofs, files, refusals."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgeflow.digest import unsealed_json
from edgeflow.errors import ProgramError
from edgeflow.program import GRU, InputFormat, Linear, Matrix, Program
from edgeflow.program.onnx_file import to_onnx
from tests.random_nodes.matrices import random_matrix
from tests.random_programs import random_program, samples


@pytest.fixture
def program() -> Program:
    return random_program(1, 6, [9, 5], 4, 12, 12)


def test_file_keeps_the_program(program: Program, tmp_path: Path) -> None:
    full = dataclasses.replace(program, classes=("a", "b", "c", "d"), window=40, rate_hz=20.0)
    full.save(tmp_path / "m.onnx")
    read = Program.load(tmp_path / "m.onnx")
    assert read.hash == full.hash
    assert (read.classes, read.window, read.rate_hz) == (full.classes, 40, 20.0)
    x = samples(full, 0, 3, 9)
    np.testing.assert_array_equal(read.run(x), full.run(x))


def test_file_has_one_node_a_layer_and_explicit_states(program: Program) -> None:
    model = to_onnx(program)
    onnx.checker.check_model(model, full_check=True)
    assert [n.op_type for n in model.graph.node] == ["Clamp", "GRU", "GRU", "Linear"]
    assert [i.name for i in model.graph.input] == ["x", "gru0_h", "gru1_h"]
    assert [o.name for o in model.graph.output] == ["y", "gru0_h_next", "gru1_h_next"]


def test_state_carries_on(program: Program) -> None:
    x = samples(program, 5, 2, 30)
    state = program.initial_state(2)
    parts = []
    for t in range(30):
        y, state = program.step(x[:, t], state)
        parts.append(y)
    np.testing.assert_array_equal(np.stack(parts, 1), program.run(x))


def test_hash_tells_programs_apart(program: Program) -> None:
    node = program.nodes[0]
    assert isinstance(node, GRU)
    weight = node.input.weight.copy()
    weight[0, 0] ^= 1
    changed = dataclasses.replace(node, input=dataclasses.replace(node.input, weight=weight))
    other = dataclasses.replace(program, nodes=(changed, *program.nodes[1:]))
    assert other.hash != program.hash
    assert dataclasses.replace(program, metadata={"note": 1}).hash == program.hash


def test_overflow_is_refused() -> None:
    weight = np.full((2, 600), 127, np.int8)
    zeros = np.zeros(2, np.int32)
    Matrix(weight, zeros, zeros, 1, 12)
    with pytest.raises(ProgramError, match="row 0 can overflow"):
        Matrix(weight, zeros, zeros, 1, 16)


def test_bound_is_reached_by_the_worst_input() -> None:
    rng = np.random.default_rng(0)
    matrix = random_matrix(rng, 8, 13, 12, extreme=False)
    for row in range(8):
        sign = np.where(matrix.bias[row] < 0, -1, 1)
        x = np.sign(matrix.weight[row].astype(np.int64)) * 2047 * sign
        assert abs(matrix.accumulate(x)[row]) == matrix.accumulator_bound()[row]


@pytest.mark.parametrize(
    "change,message",
    [
        ({"weight": np.full((2, 3), -128, np.int8)}, "-128"),
        ({"bias": np.zeros(3, np.int32)}, "one value for each of 2 rows"),
        ({"multiplier": np.full(2, -1, np.int32)}, "negative"),
        ({"shift": 0}, "shift 0"),
        ({"input_bits": 17}, "input width 17"),
    ],
)
def test_matrix_refuses(change: dict[str, object], message: str) -> None:
    good = Matrix(np.ones((2, 3), np.int8), np.zeros(2, np.int32), np.ones(2, np.int32), 1, 12)
    with pytest.raises(ProgramError, match=message):
        dataclasses.replace(good, **change)  # type: ignore[arg-type]


def test_layers_must_fit_together(program: Program) -> None:
    with pytest.raises(ProgramError, match="gru1 reads 9 values, the input gives 6"):
        dataclasses.replace(program, nodes=program.nodes[1:])
    wide = dataclasses.replace(program.input, bits=16)
    with pytest.raises(ProgramError, match="proven for 12-bit"):
        dataclasses.replace(program, input=wide)
    head = program.nodes[-1]
    assert isinstance(head, Linear)
    with pytest.raises(ProgramError, match="not unique"):
        dataclasses.replace(
            program, nodes=(*program.nodes[:-1], dataclasses.replace(head, name="gru0"))
        )


def test_run_refuses_other_shapes(program: Program) -> None:
    with pytest.raises(ProgramError, match=r"int16 \[n, time, 6\]"):
        program.run(np.zeros((2, 3, 5), np.int16))


def test_input_quantization_at_the_edges() -> None:
    form = InputFormat(np.float32([1.0]), np.float32([0.5]), 8, ("a",))
    x = np.array([[1.0], [1.24], [1.25], [0.75], [1e9], [-1e9], [np.nan], [np.inf]], np.float32)
    assert form.quantize(x).ravel().tolist() == [0, 0, 1, -1, 127, -127, 0, 127]


class TestBadFiles:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ProgramError, match="cannot be read"):
            Program.load(tmp_path / "none.onnx")

    @pytest.mark.parametrize("content", [b"", b"not onnx", bytes(range(256)) * 8])
    def test_not_onnx(self, tmp_path: Path, content: bytes) -> None:
        file = tmp_path / "bad.onnx"
        file.write_bytes(content)
        with pytest.raises(ProgramError, match="not a valid ONNX file"):
            Program.load(file)

    def test_foreign(self, tmp_path: Path) -> None:
        value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
        out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
        graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [out])
        onnx.save(helper.make_model(graph, producer_name="pytorch"), tmp_path / "f.onnx")
        with pytest.raises(ProgramError, match="not one that 'edgeflow compress' made.*pytorch"):
            Program.load(tmp_path / "f.onnx")

    def test_every_truncation_is_an_error(self, program: Program, tmp_path: Path) -> None:
        data = to_onnx(program).SerializeToString()
        file = tmp_path / "cut.onnx"
        for size in range(0, len(data), 97):
            file.write_bytes(data[:size])
            with pytest.raises(ProgramError):
                Program.load(file)

    def test_changed_weight(self, program: Program, tmp_path: Path) -> None:
        model = to_onnx(program)
        tensor = next(t for t in model.graph.initializer if t.name == "gru0.input.weight")
        tensor.raw_data = bytes([tensor.raw_data[0] ^ 1]) + tensor.raw_data[1:]
        onnx.save(model, tmp_path / "c.onnx")
        with pytest.raises(ProgramError, match="hash disagree"):
            Program.load(tmp_path / "c.onnx")

    def test_missing_tensor(self, program: Program, tmp_path: Path) -> None:
        model = to_onnx(program)
        header = unsealed_json(model.metadata_props[0].value)
        del header["classes"]
        model.metadata_props[0].value = json.dumps(header)
        onnx.save(model, tmp_path / "c.onnx")
        with pytest.raises(ProgramError, match="incomplete.*classes"):
            Program.load(tmp_path / "c.onnx")

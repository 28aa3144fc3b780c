"""LiteRT files: what its reference interpreter computes is near the oracle, in units of the result.

LiteRT rounds a product to 16 bits before the sum, where a program rounds once, and has tables of its
own, so that equal bits are out of reach. Each tolerance below is a limit on the difference.
"""

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgeflow
from edgeflow.compression.evaluate import compress_model
from edgeflow.data import Dataset, load_dataset
from edgeflow.errors import DataError, ExportError
from edgeflow.exporting import litert
from edgeflow.exporting.tflite import check, to_tflite
from edgeflow.exporting.tflite_run import LiteRTProgram
from edgeflow.program import InputFormat, Node, Program
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.program.nodes import RNN, CfC, Cutoff, MinGRU
from edgeflow.program.nodes.base import State
from edgeflow.training import train
from tests.random_nodes.adaptive import ALL, random_learner
from tests.random_nodes.draw import DRAW
from tests.random_programs import random_program, samples

#: Largest difference of a state, or of an output of a recurrent layer, after one step from the same
#: state: so many units of it or, of fine units, this part of full scale.
STEP_UNITS, STEP_SHARE = 4, 64 / 2**15
#: The same where the layer rounds to the state's width before a product, too.
STEP_UNITS_TWICE = 16
#: Mean difference of the outputs over windows of trained models, in units of y. Single windows near
#: a decision that the state keeps differ by more.
WINDOW_UNITS = {"int16": 16.0, "int8": 2.0}
#: Of the accuracies of program and file: 0.3 points.
ACCURACY = 0.003

EXACT = ["taps", "relu", "sum"]
RECURRENT = ["gru", "gru_reset_before", "lstm", "rnn", "mingru", "cfc"]
REFUSED = ["lif", "l2mu", "lmu", "ltc", "minlstm", "norm", "mixer"]


def single(seed: int, cell: str, extreme: bool) -> Program:
    """Return a program of one random layer, as compression could have made it."""
    rng = np.random.default_rng(seed)
    width, size = int(rng.integers(1, 20)), int(rng.integers(1, 40))
    bits, state_bits = int(rng.choice([8, 12, 16])), int(rng.integers(8, 17))
    node = DRAW[cell](rng, cell, width, size, bits, state_bits, extreme)
    while cell == "cfc" and (type(node) is not CfC or node.heads is not None):
        node = DRAW[cell](rng, cell, width, size, bits, state_bits, extreme)
    if cell == "sum":
        node = replace(node, decay=1 << 15)
    if isinstance(node, MinGRU):
        node = replace(node, output_shift=int(rng.integers(31 - state_bits, 31)))
    if isinstance(node, RNN) and not node.relu:
        node = replace(node, state_shift=16 - state_bits)
    channels = tuple(f"x{i}" for i in range(width))
    form = InputFormat(np.zeros(width, np.float32), np.ones(width, np.float32), bits, channels)
    return Program((node,), form, output_scale=1.0)


def in_range(program: Program, seed: int) -> np.ndarray:
    """Return x [4, 10, inputs] within its width, extremes included: LiteRT does not clip it."""
    limit = symmetric_max(program.input.bits)
    return np.clip(samples(program, seed, windows=4, time=10), -limit, limit)


def full_scale(node: Node, name: str) -> float:
    """Return the largest value of a state or of the output y."""
    if name == "h" and isinstance(node, MinGRU):
        return 2.0**30
    return 2.0 ** (15 if name == "c" else node.output_bits - 1)


def steps(program: Program, x: np.ndarray) -> State:
    """Return differences by name, each step from the oracle's state before it."""
    (node,) = program.nodes
    exported = LiteRTProgram(to_tflite(program))
    types = {name: value.dtype for name, value in exported.initial_state().items()}
    state, apart = program.initial_state(len(x)), {}
    for t in range(x.shape[1]):
        given = {f"{node.name}_{name}": value for name, value in state[0].items()}
        y, new = exported.step(x[:, t], {k: v.astype(types[k]) for k, v in given.items()})
        expected, state = program.step(x[:, t], state)
        for name, value in (state[0] | {"y": expected}).items():
            found = y if name == "y" else new[f"{node.name}_{name}"]
            apart.setdefault(name, []).append(np.abs(found.astype(np.int64) - value))
    return {name: np.stack(each) for name, each in apart.items()}


@pytest.mark.parametrize("cell", RECURRENT)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), extreme=st.booleans())
def test_a_step_of_a_recurrent_layer(cell: str, seed: int, extreme: bool) -> None:
    program = single(seed, cell, extreme)
    (node,) = program.nodes
    apart = steps(program, in_range(program, seed))
    # a coarse cell state shows in the output
    cell_unit = 2.0**-node.cell_fraction if cell == "lstm" else 0
    share = STEP_SHARE + cell_unit
    units = STEP_UNITS_TWICE if cell == "gru_reset_before" else STEP_UNITS
    for name, difference in apart.items():
        limit = max(units, share * full_scale(node, name))
        assert difference.max() <= limit, (name, node.ints())


@pytest.mark.parametrize("cell", EXACT)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), extreme=st.booleans())
def test_sums_delays_and_rectification_round_at_most_once_more(
    cell: str, seed: int, extreme: bool
) -> None:
    program = single(seed, cell, extreme)
    apart = steps(program, in_range(program, seed))
    assert apart.pop("y").max() <= (cell != "taps")
    assert all((difference == 0).all() for difference in apart.values())


@pytest.fixture(scope="module")
def program_of(
    seglearn: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Program]:
    folder = tmp_path_factory.mktemp("litert")

    @functools.cache
    def make(cell: str) -> Program:
        train(seglearn, cell, out=folder / cell, hidden=19, epochs=2, batch=128)
        return compress_model(folder / cell, seglearn).program

    return make


@pytest.mark.parametrize("activations", ["int16", "int8"])
@pytest.mark.parametrize("cell", ["gru", "lstm", "mingru", "rnn", "cfc"])
def test_trained_models_decide_alike(
    cell: str,
    activations: str,
    program_of: Callable[[str], Program],
    seglearn: Dataset,
    tmp_path: Path,
) -> None:
    program, out = program_of(cell), tmp_path / "model.tflite"
    edgeflow.export(program, "tflite", out, activations=activations)
    found = check(program, out, seglearn)
    assert found["windows"] > 300
    # a minGRU of two epochs hardly tells its classes apart
    least = 0.99 if activations == "int16" else 0.8 if cell == "mingru" else 0.9
    assert found["agreement"] >= least
    assert 0 < found["mean_difference"] <= WINDOW_UNITS[activations]


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["gru", "lstm", "mingru"])
def test_accuracy_on_many_people(cell: str, shared_data: Path, tmp_path: Path) -> None:
    try:
        wisdm = load_dataset("wisdm-watch-hand", root=shared_data)
    except DataError as error:
        pytest.skip(str(error))
    train(wisdm, cell, out=tmp_path / cell, hidden=32, epochs=3)
    program = compress_model(tmp_path / cell, wisdm).program
    (out,) = edgeflow.export(program, "tflite", tmp_path / "model.tflite")
    found = check(program, out, wisdm)
    assert found["windows"] > 4000 and found["accuracy"] > 0.6
    assert abs(found["accuracy"] - found["accuracy_exported"]) <= ACCURACY
    assert found["mean_difference"] <= WINDOW_UNITS["int16"]


@pytest.mark.parametrize("cells", [["gru"], ["taps", "relu", "rnn"], ["lstm", "mingru"]])
@pytest.mark.parametrize("activations", ["int16", "int8"])
def test_the_file_describes_itself(cells: list[str], activations: str, tmp_path: Path) -> None:
    program = random_program(3, 4, [6] * len(cells), 3, 12, 12, cells=cells)
    program = replace(program, classes=("a", "b", "ç"), window=7, rate_hz=12.5)
    (out,) = edgeflow.export(program, "tflite", tmp_path / "m.tflite", activations=activations)
    exported = LiteRTProgram(out)
    header, form = exported.header, program.input
    assert header["labels"] == list(program.classes)
    assert (header["window"], header["sample_rate_hz"]) == (7, 12.5)
    assert header["program_hash"] == program.hash.hex()
    assert header["input_channels"] == list(form.channels)
    states = {f"{node.name}_{name}" for node in program.nodes for name in node.states}
    assert set(header["states"]) == states
    raw = np.random.default_rng(0).normal(0, 400, (5, 7, 4)).astype(np.float32)
    x = exported.quantize_input(raw)
    integers = program.quantize_input(raw)
    if activations == "int16":
        np.testing.assert_array_equal(x, integers)
    else:
        assert x.dtype == np.int8
        assert np.abs(x.astype(int) * 16 - integers).max() <= 16 + 8
    # the plain interpreter, by names alone
    interpreter = litert.interpreter(out.read_bytes())
    details = interpreter.get_output_details()
    assert [d["name"] for d in details] == ["y", *header["states"].values()]
    assert details[0]["quantization"][0] == pytest.approx(header["output_scale"])
    y = exported.run(x)
    assert y.shape == (5, 7, 3)
    assert len(np.unique(y)) > 5


def test_a_stream_goes_on_from_its_state_and_batches_are_independent() -> None:
    program = random_program(5, 3, [8, 8], 4, 12, 12, cells=["gru", "mingru"])
    exported = LiteRTProgram(to_tflite(program))
    x = in_range(program, 1)
    together = exported.run(x)
    for n in range(len(x)):
        state = exported.initial_state()
        for t in range(x.shape[1]):
            y, state = exported.step(x[n : n + 1, t], state)
            np.testing.assert_array_equal(y[0], together[n, t])


@pytest.mark.parametrize("cell", REFUSED)
def test_what_it_cannot_express_is_refused(cell: str, tmp_path: Path) -> None:
    program = random_program(1, 4, [8], 3, 12, 12, cells=[cell])
    out = tmp_path / "m.tflite"
    with pytest.raises(ExportError, match=rf"layer {cell}0: .*'--to onnx'.*'--to cmake'"):
        edgeflow.export(program, "tflite", out)
    assert not out.exists()


@pytest.mark.parametrize("kind", ALL)
def test_what_learns_is_refused(kind: str) -> None:
    with pytest.raises(ExportError, match=r"'--to onnx'.*'--to cmake'"):
        to_tflite(random_learner(1, kind, 9, 5))


def test_delta_leaks_and_cutoffs_are_refused() -> None:
    delta = random_program(2, 4, [8], 3, 12, 12, delta=True)
    assert any(node.delta_matrices() for node in delta.nodes)
    with pytest.raises(ExportError, match="compress without --delta"):
        to_tflite(delta)
    leak = random_program(1, 4, [8], 3, 12, 12, cells=["sum"])
    leak = replace(leak, nodes=(replace(leak.nodes[0], decay=30000), leak.nodes[1]))
    with pytest.raises(ExportError, match="layer sum0: .*leak"):
        to_tflite(leak)
    plain = random_program(1, 4, [8], 3, 12, 12)
    early = replace(plain, nodes=(*plain.nodes, Cutoff("cutoff", 3, 100)), window=5)
    with pytest.raises(ExportError, match="compress without --cutoff"):
        to_tflite(early)


def test_bad_arguments_are_errors(tmp_path: Path, seglearn: Dataset) -> None:
    program = random_program(1, 4, [8], 3, 12, 12)
    with pytest.raises(ExportError, match="no int4 activations: use int16 or int8"):
        to_tflite(program, "int4")
    (out,) = edgeflow.export(program, "tflite", tmp_path / "m.tflite")
    with pytest.raises(DataError, match="channels"):
        edgeflow.export(program, "tflite", tmp_path / "other.tflite", data=seglearn)
    assert not (tmp_path / "other.tflite").exists()
    for content in (b"", b"TFL3", b"nothing of the kind", out.read_bytes()[:40]):
        with pytest.raises(ExportError, match="not a .tflite file that"):
            LiteRTProgram(content)
    with pytest.raises(ExportError, match=r"gone\.tflite: cannot be read"):
        LiteRTProgram(tmp_path / "gone.tflite")


def test_without_the_package_one_line_says_what_to_install(tmp_path: Path) -> None:
    random_program(1, 4, [8], 3, 12, 12).save(tmp_path / "model.onnx")
    # None in sys.modules is what the import system itself takes for "not there"
    script = (
        "import sys; sys.modules['ai_edge_litert'] = None; from edgeflow.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "export", "model.onnx", "--to", "tflite"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install edgeflow[litert]" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.glob("*.tflite"))


def test_command(tmp_path: Path, program_of: Callable[[str], Program], seglearn: Dataset) -> None:
    program_of("gru").save(tmp_path / "model.onnx")
    done = subprocess.run(
        [
            sys.executable, "-c", "from edgeflow.cli import main; main()", "export", "model.onnx",
            "--to", "tflite", "--data", "seglearn-watch", "--json",
        ],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (tmp_path / result["out"]).stat().st_size > 1000
    assert result["check"]["agreement"] > 0.99

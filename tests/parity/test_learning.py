"""A read-out that learns: reference, onnxruntime and C agree on every bit of what labels change.

Alone catches a learner in C that rounds, clips or forgets otherwise than the reference.
"""

import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgeflow.codegen.plan import plan_library
from edgeflow.codegen.render import render, write
from edgeflow.exporting.wasm import TARGETS, compile_module
from edgeflow.program import Program
from edgeflow.program.learning import learned_size
from edgeflow.program.onnx_file import OnnxProgram, to_onnx
from edgeflow.program.onnx_forms import Form, as_form
from edgeflow.targets.core import load_core
from tests.learning import HARNESS, in_bytes, operations
from tests.random_nodes.adaptive import ALL, LEARNERS, random_learner, random_nlms
from tests.random_programs import SANITIZE, samples
from tests.wasm_module import WasmModel

#: Width of the state, classes, bits, and whether parameters are at their limits.
SHAPES = [
    (9, 5, 12, False),
    (32, 7, 12, False),
    (3, 2, 8, True),
    (17, 3, 12, True),
    (1, 1, 12, False),
]


def built(program: Program, folder: Path, flags: list[str]) -> Path:
    """Return the harness with a program's library, compiled for this machine."""
    plan = plan_library(program, load_core("host"), kernel_sets=["c"])
    write(render(plan), folder)
    (folder / "main.c").write_text(HARNESS)
    sources = ["main.c", "model.c", *(f for f in plan.kernel_files if f.endswith(".c"))]
    warnings = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    command = ["gcc", *warnings, *flags, "-Ikernels", *sources, "-o", "model"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "model"


def wrong(program: Program, binary: Path, seed: int, count: int) -> int:
    """Return the number of operations whose answers in C are not the reference's."""
    done = list(operations(program, seed, count))
    given, expected = in_bytes(done)
    found = subprocess.run([binary], input=given, capture_output=True, check=True).stdout
    if found == expected:
        return 0
    at, bad = 0, abs(len(found) - len(expected))
    for _, answer in done:
        bad += found[at : at + len(answer)] != answer
        at += len(answer)
    return bad


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ALL)
def test_c_equals_oracle(kind: str, shape: tuple[int, int, int, bool], tmp_path: Path) -> None:
    hidden, outputs, bits, extreme = shape
    for seed in range(2):
        program = random_learner(seed, kind, hidden, outputs, bits, extreme)
        binary = built(program, tmp_path, ["-O1", *SANITIZE])
        assert wrong(program, binary, seed, 400) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALL)
def test_c_equals_oracle_in_100000_operations(kind: str, tmp_path: Path) -> None:
    program = random_learner(5, kind, 16, 4)
    binary = built(program, tmp_path, ["-O2"])
    assert sum(wrong(program, binary, seed, 10_000) for seed in range(10)) == 0


@pytest.mark.parametrize("kind", LEARNERS)
def test_labels_change_what_is_decided(kind: str) -> None:
    """The comparisons above can fail: what is learned shows in the outputs, and is forgotten."""
    program = random_learner(1, kind, 9, 5)
    x = samples(program, 1, windows=3, time=12)
    trained, state = program.run_on(x)
    state = program.learn(state, [0, 1, -1])
    learned, state = program.run_on(x, program.reset(state))
    changed = (learned != trained).any(axis=(1, 2))
    assert changed.tolist() == [True, True, False]
    np.testing.assert_array_equal(
        program.run_on(x, program.reset(program.forget(state)))[0], trained
    )


def test_what_came_changes_forecasts() -> None:
    """The comparisons of NLMS can fail: what it learned shows after a reset, and is forgotten."""
    program = random_nlms(1, 9)
    x = samples(program, 1, windows=2, time=150)
    first, state = program.run_on(x)
    again, state = program.run_on(x, program.reset(state))
    assert (again[:, :4] != first[:, :4]).any()
    forgotten = program.reset(program.forget(state))
    np.testing.assert_array_equal(program.run_on(x, forgotten)[0], first)
    blob = program.save_learned([{k: v[:1] for k, v in own.items()} for own in state])
    loaded = program.load_learned(blob)
    kept = program.reset(state)
    np.testing.assert_array_equal(program.run_on(x[:1], loaded)[0], program.run_on(x, kept)[0][:1])


def test_onnxruntime_learns_of_what_came() -> None:
    program = random_nlms(2, 9)
    x = samples(program, 1, windows=2, time=90)
    np.testing.assert_array_equal(OnnxProgram(program).run(x), program.run(x))


@pytest.mark.parametrize("kind", LEARNERS)
def test_onnxruntime_equals_oracle(kind: str) -> None:
    program = random_learner(1, kind, 9, 5)
    x = samples(program, 1, windows=4, time=12)
    _, state = program.run_on(x)
    state = program.reset(program.learn(state, [0, 1, -1, 4]))
    node = program.nodes[-1]
    learned = {f"{node.name}_{name}": state[-1][name] for name in node.derived}
    expected = program.run_on(x, state)[0]
    np.testing.assert_array_equal(OnnxProgram(program).run(x, learned), expected)
    np.testing.assert_array_equal(OnnxProgram(program).run(x), program.run(x))


def test_whole_windows_take_what_was_learned() -> None:
    """Alone catches a Scan whose body takes what was learned for a state."""
    program = random_learner(1, "head", 9, 5)
    x = samples(program, 1, windows=2, time=12)
    _, state = program.run_on(x)
    state = program.reset(program.learn(state, [0, 4]))
    model = as_form(to_onnx(program), program, Form(scan=True))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    kinds = {i.name: np.int16 if "16" in i.type else np.int32 for i in session.get_inputs()[1:]}
    learned = {
        name: state[-1][name.removeprefix("head_")].astype(kind) for name, kind in kinds.items()
    }
    y, _ = session.run(None, {"x": x, **learned})
    np.testing.assert_array_equal(y, program.run_on(x, state)[0])


def wrong_in_wasm(program: Program, seed: int, count: int) -> int:
    """Return the number of operations that WebAssembly answers otherwise than the reference."""
    pytest.importorskip("ziglang", reason="the PyPI package ziglang is missing")
    module = compile_module(
        plan_library(program, load_core("host"), kernel_sets=["c"]), next(iter(TARGETS))
    )
    model = WasmModel(module, program)
    blob = model.array("learned", np.uint8, learned_size(program))
    bad = 0
    model.call("reset")
    for (op, body), answer in operations(program, seed, count):
        found = b"\0"
        if op == "s":
            model.x[:] = np.frombuffer(body, np.int16)
            model.call("step")
            found = model.y.tobytes()
        elif op == "w":
            model.call("save")
            found = blob.tobytes()
        elif op == "l":
            result = model.call("learn", int(np.frombuffer(body, np.int16)[0]))
            found = np.int8(result).tobytes()
        elif op == "o":
            blob[:] = np.frombuffer(body, np.uint8)
            found = np.int8(model.call("load")).tobytes()
        else:
            model.call({"r": "reset", "f": "forget"}[op])
        bad += found != answer
    return bad


@pytest.mark.parametrize("kind", ALL)
def test_wasm_equals_oracle(kind: str) -> None:
    assert wrong_in_wasm(random_learner(2, kind, 19, 5), 3, 300) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALL)
def test_wasm_equals_oracle_in_100000_operations(kind: str) -> None:
    assert wrong_in_wasm(random_learner(5, kind, 16, 4), 0, 100_000) == 0


@pytest.mark.parametrize("kind", LEARNERS)
def test_steps_of_windows_side_by_side_read_what_was_learned(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled steps that lose learned rows, or their guard, differ from numpy."""
    program = random_learner(3, kind, 16, 5)
    x = samples(program, 1, windows=20, time=9)
    found = []
    for simulator in ("numpy", "lanes"):
        monkeypatch.setenv("EDGEFLOW_SIMULATOR", simulator)
        _, state = program.run_on(x)
        state = program.learn(state, np.arange(20) % 5)
        y, state = program.run_on(x, state)
        assert (y != program.run(x)).any()
        found.append([y, *(value for own in state for value in own.values())])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)

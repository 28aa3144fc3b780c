"""Steps by TVM, of every layer, give the oracle's bits; matrices go through plain C kernels."""

import ctypes
import importlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeflow.codegen.backends.tvm import Tvm
from edgeflow.errors import TargetError
from edgeflow.program import Linear, Node
from edgeflow.program.fixedpoint import TABLES, Ints, largest_magnitude, nodes_of
from edgeflow.program.matrix import Matrix, round_up
from edgeflow.program.nodes import RNN, Cutoff, ReLU
from edgeflow.program.nodes.base import State
from edgeflow.resources import resource
from edgeflow.targets.core import load_core
from tests.random_nodes.adaptive import ALL, random_learner
from tests.random_nodes.between import random_multiply
from tests.random_nodes.draw import DRAW
from tests.random_nodes.matrices import random_matrix, with_delta
from tests.random_nodes.recurrent import random_rnn

tvm = pytest.importorskip("tvm", reason="apache-tvm is not installed")
emit = importlib.import_module("edgeflow.codegen.tvm.emit")
step_module = importlib.import_module("edgeflow.codegen.tvm.step")
values = importlib.import_module("edgeflow.codegen.tvm.values")
intervals = importlib.import_module("edgeflow.codegen.tvm.intervals")

#: Never written to: in front of and behind every array.
GUARD = 0x5A
STEPS = 50


class CMatrix(ctypes.Structure):
    _fields_ = (
        ("matvec", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("multiplier", ctypes.c_void_p),
        ("rows", ctypes.c_uint16),
        ("cols", ctypes.c_uint16),
        ("shift", ctypes.c_uint8),
        ("group", ctypes.c_uint8),
        ("threshold", ctypes.c_uint16),
        ("memory", ctypes.c_int32),
    )


class Arena:
    """Memory of a layer: arrays with guards between them, of which the addresses are known."""

    def __init__(self, size: int) -> None:
        self._bytes = np.full(size + 16, GUARD, np.uint8)
        self._start = -self._bytes.ctypes.data % 8
        self._end = self._start
        self._used = np.zeros(len(self._bytes), bool)

    def array(self, dtype: Any, size: int) -> np.ndarray:
        begin = self._end + 16
        end = begin + size * np.dtype(dtype).itemsize
        self._end = -(-end // 8) * 8
        self._used[begin:end] = True
        array = self._bytes[begin:end].view(dtype)
        array[:] = 0
        return array

    def check(self) -> None:
        assert (self._bytes[~self._used] == GUARD).all(), "a step writes outside of its arrays"


class Runner:
    """A layer's step in a shared object, its states and matrices."""

    def __init__(self, library: ctypes.CDLL, node: Node, step: Any, symbol: str) -> None:
        self._node, self._step, self._function = node, step, getattr(library, symbol)
        self._function.restype = None
        self._arena = Arena(1 << 16)
        self._x = self._arena.array(np.int16, round_up(node.inputs))
        self.y = self._arena.array(np.int16, node.outputs)
        self.states = {
            name: self._arena.array(vector.dtype, round_up(vector.size))
            for name, vector in node.states.items()
        }
        self._scratch = self._arena.array(np.uint8, step.scratch)
        self._keep: list[Any] = []
        constants: dict[tuple[str, str], Any] = {
            ("array", name): np.ascontiguousarray(array) for name, array in node.arrays().items()
        }
        constants |= {("table", name): TABLES[name]().copy() for name in node.tables}
        self._matrices = {
            field: self._matrix(library, field, matrix) for field, matrix in node.matrices().items()
        }
        pointers = {key: array.ctypes.data for key, array in constants.items()}
        pointers |= {("state", name): array.ctypes.data for name, array in self.states.items()}
        pointers |= {("x", ""): self._x.ctypes.data, ("y", ""): self.y.ctypes.data}
        pointers |= {("scratch", ""): self._scratch.ctypes.data}
        pointers |= {("matrix", name): ctypes.addressof(m) for name, m in self._matrices.items()}
        self._keep.append(constants)
        self._arguments = [ctypes.c_void_p(pointers[key]) for key in step.arguments]

    def _matrix(self, library: ctypes.CDLL, field: str, matrix: Matrix) -> CMatrix:
        arrays = [np.ascontiguousarray(a) for a in (matrix.weight, matrix.bias, matrix.multiplier)]
        self._keep.append(arrays)
        weights, bias, multiplier = (array.ctypes.data for array in arrays)

        def address(name: str) -> int:
            found = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
            assert found
            return found

        form = (matrix.rows, matrix.cols, matrix.shift, matrix.group, matrix.threshold)
        dense = CMatrix(address("ef_matvec_s8_s16"), weights, bias, multiplier, *form, 0)
        if not matrix.threshold:
            return dense
        self._keep.append(dense)
        held = self._arena.array(np.int16, round_up(matrix.cols))
        source = self._node.delta_sources[field]
        read = self._x if source == "x" else self.states[source]
        distance = held.ctypes.data - read.ctypes.data
        hold = address("ef_hold_matvec")
        return CMatrix(hold, ctypes.addressof(dense), None, None, *form, distance)

    def advance(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        self._x[: len(x)] = x
        self._scratch[:] = rng.integers(0, 256, len(self._scratch))
        self._function(*self._arguments)
        self._arena.check()
        name = self._node.output_state
        return (self.y if name is None else self.states[name])[: self._node.outputs]


def translate(nodes: Sequence[Node]) -> list[Any]:
    """Return the steps of some layers, ``step_0`` first."""
    return [step_module.step_function(node, f"step_{k}") for k, node in enumerate(nodes)]


def build(nodes: Sequence[Node], steps: Sequence[Any], folder: Path, kind: str) -> list[Runner]:
    """Compile the steps of at least two layers, and load them."""
    symbols = [f"step_{number}" for number in range(len(nodes))]
    if kind == "c":
        source = folder / "steps.c"
        source.write_text(emit.source([step.function for step in steps], {"kind": "c"})[0])
    else:
        source = folder / "steps.o"
        functions = {s: step.function for s, step in zip(symbols, steps, strict=True)}
        target = tvm.target.Target({"kind": "llvm"})
        tvm.tirx.build(tvm.IRModule(functions), target=target).write_to_file(str(source))
    kernels = resource("firmware") / "kernels"
    names = ("ef_apply", "ef_matvec_s8_s16", "ef_hold_matvec")
    files = [source, *(kernels / f"{name}.c" for name in names)]
    # any overflow that was proven impossible, and any shift too far, ends the test
    traps = ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]
    flags = ["-shared", "-fPIC", "-O2", *traps, f"-I{kernels}"]
    library = folder / "steps.so"
    subprocess.run(["gcc", *flags, *map(str, files), "-o", str(library)], check=True)
    loaded = ctypes.CDLL(str(library))
    return [Runner(loaded, *each) for each in zip(nodes, steps, symbols, strict=True)]


def compare(node: Node, runner: Runner, seed: int) -> None:
    """Advance the oracle and the step by the same samples, extreme ones first."""
    rng = np.random.default_rng(seed)
    limit = largest_magnitude(node.input_bits)
    high = min(limit, 32767)
    state = {
        name: np.zeros((1, vector.size), np.int64)
        for name, vector in {**node.states, **node.held}.items()
    }
    for number in range(STEPS):
        x = rng.integers(-limit, high + 1, node.inputs)
        if number < 20:
            x[:] = -limit if number % 7 < 4 else high
        elif number < 30:
            x = rng.choice([-limit, high], node.inputs)
        elif number % 3:
            x >>= int(rng.integers(16))
        y, state = node.advance(x[None], state)
        np.testing.assert_array_equal(runner.advance(x, rng), y[0], f"{node.name}, step {number}")
        for name, array in runner.states.items():
            size = node.states[name].size
            np.testing.assert_array_equal(array[:size], state[name][0], f"{name}, step {number}")


def linear(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
           state_bits: int, extreme: bool) -> Node:  # fmt: skip
    return Linear(name, random_matrix(rng, size, width, bits, extreme))


def cutoff(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
           state_bits: int, extreme: bool) -> Node:  # fmt: skip
    return Cutoff(name, max(width, 2), int(rng.integers(1 << 16)), int(rng.integers(1, 40)))


def multiply(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
             state_bits: int, extreme: bool) -> Node:  # fmt: skip
    return random_multiply(rng, name, 2 * width, size, bits, state_bits, extreme)


LAYERS = {**DRAW, "linear": linear, "cutoff": cutoff, "multiply": multiply}
del LAYERS["log_mel"]  # a step that TVM does not write: `Node.kernel_only`


def layers(cell: str, seeds: Sequence[int], delta: bool = False) -> list[Node]:
    """Draw layers of odd sizes and widths, with extreme parameters every other time."""
    nodes = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        width, size = (int(rng.choice([1, 2, 3, 5, 8, 13, 20])) for _ in range(2))
        bits, state_bits = int(rng.choice([8, 12, 16])), int(rng.integers(8, 17))
        extreme = bool(seed % 2)
        node = LAYERS[cell](rng, f"{cell}{seed}", width, size, bits, state_bits, extreme)
        nodes.append(with_delta(rng, node) if delta else node)
    return nodes


@pytest.mark.parametrize("cell", LAYERS)
def test_step_equals_oracle(cell: str, tmp_path: Path) -> None:
    nodes = layers(cell, range(4 if cell == "ltc" else 8))  # the longest to translate
    steps = translate(nodes)
    for kind in ("c", "llvm"):
        (tmp_path / kind).mkdir()
        for seed, runner in enumerate(build(nodes, steps, tmp_path / kind, kind)):
            compare(nodes[seed], runner, seed)


@pytest.mark.parametrize("cell", ["gru", "lstm", "cfc", "mixer", "linear"])
def test_delta_matrices_hold_what_they_read(cell: str, tmp_path: Path) -> None:
    nodes = layers(cell, range(8), delta=True)
    assert any(node.delta_matrices() for node in nodes)
    for seed, runner in enumerate(build(nodes, translate(nodes), tmp_path, "llvm")):
        compare(nodes[seed], runner, seed)


@pytest.mark.slow
@pytest.mark.parametrize("cell", LAYERS)
def test_step_equals_oracle_in_60_draws(cell: str, tmp_path: Path) -> None:
    nodes = layers(cell, range(100, 160), delta=True)
    for seed, runner in enumerate(build(nodes, translate(nodes), tmp_path, "llvm")):
        compare(nodes[seed], runner, seed)


@pytest.mark.parametrize("kind", ALL)
def test_what_learns_is_left_to_kernels(kind: str) -> None:
    """Labels change its state between steps, by functions that have no translation."""
    program = random_learner(1, kind, 9, 5)
    learners = {node.name for node in program.nodes if node.kept_fields or node.learned_fields}
    assert learners
    written = Tvm().layers(program, load_core("cortex-m4"), "balanced", alone=True)
    assert written and not learners & set(written)


def test_an_unknown_operator_is_named() -> None:
    class Rooted(ReLU):
        def step(self, x: Ints, state: State) -> tuple[Ints, State]:
            return np.sqrt(x), {}

    with pytest.raises(TargetError, match=r"layer strange \(ReLU\): .* numpy.sqrt yet; use the"):
        step_module.step_function(Rooted("strange", 3, 12, 12, 0), "step")


def test_positions_outside_of_a_table_are_refused() -> None:
    class Wild(RNN):
        def step(self, x: Ints, state: State) -> tuple[Ints, State]:
            wild = nodes_of("tanh", state["h"])[state["h"]]
            return wild, {"h": wild}

    node = random_rnn(np.random.default_rng(0), "wild", 3, 4, 12, 12, False)
    fields = {field: getattr(node, field) for field in (*RNN.matrix_fields, *RNN.int_fields)}
    with pytest.raises(TargetError, match="a position may lie outside of the 257 elements"):
        step_module.step_function(Wild("wild", **fields), "step")


def numbers(low: int, high: int, count: int) -> Any:
    return intervals.full((count,), low, high)


def test_means_stay_between_their_ends() -> None:
    g = values.Graph()
    a, b = (g.leaf("input", name, numbers(-32767, 32767, 3)) for name in "ab")
    z = g.leaf("input", "z", numbers(0, 32768, 3))
    mean = g.add(g.mul(a, g.const(1 << 15)), g.mul(z, g.sub(b, a)))
    assert mean.range.hi.max() == 32767 << 15
    assert mean.range.lo.min() == -32767 << 15
    beyond = g.leaf("input", "w", numbers(0, 32769, 3))
    mean = g.add(g.mul(a, g.const(1 << 15)), g.mul(beyond, g.sub(b, a)))
    assert mean.range.hi.max() > 32767 << 15


def test_a_normalised_number_has_bounds() -> None:
    g = values.Graph()
    d = g.leaf("input", "d", numbers(1 << 4, (1 << 8) - 1, 3))
    count = g.const(0)
    for e in (5, 6, 7):
        below = g.of("lt", d, g.const(1 << e))
        count = g.add(count, g.where(below, g.const(1), g.const(0)))
    product = g.mul(d, g.pow2(count))
    assert product.range.lo.min() == 1 << 7
    assert product.range.hi.max() == (1 << 8) - 1


@given(st.data())
def test_intervals_hold_what_operators_give(data: st.DataObject) -> None:
    """Any expression of two numbers lies in its interval."""
    g = values.Graph()
    bounds = st.integers(-(1 << 20), 1 << 20)
    known, exact = [], []
    for name in "ab":
        low, high = sorted((data.draw(bounds), data.draw(bounds)))
        known.append(g.leaf("input", name, numbers(low, high, 1)))
        exact.append(data.draw(st.integers(low, high)))
    for _ in range(data.draw(st.integers(1, 8))):
        pick = st.integers(0, len(known) - 1)
        i, j = data.draw(pick), data.draw(pick)
        k = g.const(data.draw(st.integers(0, 12)))
        unit = 1 << int(k.scalar)
        op = data.draw(st.sampled_from(["add", "sub", "mul", "min", "max", "shr", "mod", "where"]))
        x, y, p, q = known[i], known[j], exact[i], exact[j]
        if op in ("add", "sub", "mul", "min", "max"):
            made = getattr(g, op)(x, y)
            result = {"add": p + q, "sub": p - q, "mul": p * q, "min": min(p, q)}.get(op, max(p, q))
        elif op == "shr":
            made, result = g.shr(x, k), p >> int(k.scalar)
        elif op == "mod":
            made, result = g.mod(x, g.const(unit)), p % unit
        else:
            made = g.where(g.of("lt", x, k), g.mul(x, y), y)
            result = p * q if p < int(k.scalar) else q
        if abs(result) >= 1 << 62:
            return
        known.append(made)
        exact.append(result)
        assert made.range.lo.min() <= result <= made.range.hi.max()

"""WebAssembly modules give the oracle's bits (tier: parity).

Alone they would catch code that a compiler for WebAssembly turns into other results than a compiler
for processors does, with vectors or without, and modules that outgrow their bound. The package
around them is the subject of ``test_web_package.py``.
"""

import json
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from edgeflow.codegen.plan import Plan, plan_library
from edgeflow.exporting.wasm import TARGETS, compile_module, with_section
from edgeflow.exporting.web import describe
from edgeflow.program import InputFormat, Linear, Program
from edgeflow.program.nodes import Cutoff
from edgeflow.targets.core import load_core
from tests.random_nodes.draw import DRAW
from tests.random_nodes.matrices import random_matrix
from tests.random_programs import random_program, samples
from tests.wasm_module import MOST_BESIDE_WEIGHTS, WasmModel

pytest.importorskip("ziglang", reason="the PyPI package ziglang is missing")

CLASSES = tuple(f"class {i}" for i in range(7))


def plan_of(program: Program, optimize: str = "balanced") -> Plan:
    return plan_library(program, load_core("host"), optimize=optimize)


@cache
def program_of(cell: str) -> Program:
    """Return a classifier of a cell, of a size with rests of all vectors."""
    size = 13 if cell == "ltc" else 45  # whose synapses are lookups, a hundred times as slow
    return replace(random_program(1, 6, [size], 7, 12, 12, cells=[cell]), classes=CLASSES)


def products() -> Program:
    """Return linear layers, with rests of rows and columns of every kind."""
    rng = np.random.default_rng(9)
    sizes = (3, 1, 5, 8, 4, 1, 12, 9, 7, 15, 16, 17, 3, 33, 13, 40, 7)
    form = InputFormat(np.zeros(3, np.float32), np.ones(3, np.float32), 16, ("x", "y", "z"))
    seen = rng.integers(-32767, 32768, (50, 3))
    layers: list[Linear] = []
    for cols, rows in pairwise(sizes):
        matrix = random_matrix(rng, rows, cols, 16, False, seen)
        layers.append(Linear(f"layer{len(layers)}", matrix))
        seen, _ = layers[-1].advance(seen, {})
    return Program(tuple(layers), form, output_scale=0.01)


#: Parts of the generated C that no cell alone has.
OTHERS = {
    "early exit": lambda: replace(
        random_program(2, 5, [19], 4, 12, 12),
        nodes=(*random_program(2, 5, [19], 4, 12, 12).nodes, Cutoff("exit", 4, 9000, 3)),
        window=12,
    ),
    "delta": lambda: random_program(7, 5, [33], 4, 12, 12, cells=["gru"], delta=True),
    "low rank": lambda: random_program(8, 5, [33], 4, 12, 12, cells=["lstm"], low_rank=True),
    "extreme": lambda: random_program(3, 3, [22], 9, 12, 8, extreme=True),
    "16 bits": lambda: random_program(2, 5, [13], 3, 16, 16, cells=["gru", "lif"]),
    "products": products,
    "one unit": lambda: random_program(4, 1, [1], 1, 8, 16),
}


def check_steps(program: Program, target: str, windows: int = 10, time: int = 50) -> bytes:
    """Return the module of a program, whose outputs are the oracle's."""
    x = samples(program, 5, windows, time)
    module = compile_module(plan_of(program), target)
    np.testing.assert_array_equal(WasmModel(module, program).run(x), program.run(x))
    return module


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("cell", DRAW)
def test_every_cell(cell: str, target: str) -> None:
    """It is within its bound, too, with what model.js says of the model."""
    module = check_steps(program_of(cell), target)
    info = describe(plan_of(program_of(cell)), "gait")
    size = len(with_section(module, "edgeflow", json.dumps(info).encode()))
    assert size <= info["weightBytes"] + MOST_BESIDE_WEIGHTS


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("part", OTHERS)
def test_other_parts(part: str, target: str) -> None:
    check_steps(OTHERS[part](), target)


@pytest.mark.slow
@pytest.mark.parametrize("cell", DRAW)
def test_a_million_steps(cell: str) -> None:
    program = program_of(cell)
    x = samples(program, 6, windows=2000, time=500)
    expected = program.run(x)
    for target in TARGETS:
        module = compile_module(plan_of(program), target)
        np.testing.assert_array_equal(WasmModel(module, program).run(x), expected)


def test_int4_weights_are_packed() -> None:
    program = program_of("gru")
    small = tuple(
        replace(
            node,
            **{
                field: replace(matrix, weight=np.clip(matrix.weight, -7, 7))
                for field, matrix in node.matrices().items()
            },
        )
        for node in program.nodes
    )
    program = replace(program, nodes=small)
    large, packed = plan_of(program), plan_of(program, "size")
    assert packed.weight_bytes < 0.65 * large.weight_bytes
    saved = large.weight_bytes - packed.weight_bytes
    sizes = [len(compile_module(plan, "plain")) for plan in (large, packed)]
    assert sizes[0] - sizes[1] > 0.9 * saved
    x = samples(program, 5, 4, 50)
    model = WasmModel(compile_module(packed, "simd"), program)
    np.testing.assert_array_equal(model.run(x), program.run(x))


@pytest.mark.parametrize("target", TARGETS)
def test_raw_samples_become_the_same_integers(target: str) -> None:
    """Halves, infinities and what is no number, too."""
    rng = np.random.default_rng(0)
    inputs, bits = 20, 16
    offset = np.append(0, rng.normal(0, 10, inputs - 1)).astype(np.float32)
    scale = np.append(1, rng.uniform(1e-4, 1e-2, inputs - 1)).astype(np.float32)
    form = InputFormat(offset, scale, bits, tuple(f"x{i}" for i in range(inputs)))
    program = replace(random_program(0, inputs, [3], 2, bits, 12), input=form)
    raw = (offset + scale * rng.uniform(-33000, 33000, (2000, inputs))).astype(np.float32)
    raw[:9, 0] = [0.5, -0.5, 1.5, -1.5, 2.5, np.nan, np.inf, -np.inf, 32767.5]
    model = WasmModel(compile_module(plan_of(program), target), program)
    found = []
    for sample in raw:
        model.raw[:] = sample
        model.call("quantize")
        found.append(model.x.copy())
    np.testing.assert_array_equal(found, program.quantize_input(raw))


def test_decision_and_confidence() -> None:
    program = replace(program_of("gru"), output_scale=0.003)
    rng = np.random.default_rng(1)
    y = rng.integers(-32768, 32768, (500, 7)).astype(np.int16)
    y[:200] >>= 6  # near each other
    y[:20, 3] = y[:20].max(axis=1)  # equal ones
    model = WasmModel(compile_module(plan_of(program), "simd"), program)
    found = []
    for outputs in y:
        model.y[:] = outputs
        found.append((model.call("decide"), model.call("confidence") / 32768))
    decided, confidence = map(np.array, zip(*found, strict=True))
    np.testing.assert_array_equal(decided, y.argmax(axis=1))
    np.testing.assert_array_equal(confidence, program.confidence(y))


def test_exports_are_those_that_the_program_has() -> None:
    always = {"memory", "raw", "x", "y", "reset", "quantize", "step"}
    values = random_program(4, 1, [1], 1, 8, 16)
    for program, more in (
        (values, set()),
        (program_of("rnn"), {"decide", "confidence"}),
        (OTHERS["early exit"](), {"decided"}),
    ):
        found = WasmModel(compile_module(plan_of(program), "plain"), program).names
        assert found == always | more


def test_the_same_program_is_the_same_module() -> None:
    plan = plan_of(program_of("rnn"))
    assert compile_module(plan, "simd") == compile_module(plan, "simd")

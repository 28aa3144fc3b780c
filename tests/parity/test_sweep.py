"""Every matvec kernel of every board against the oracle, over random shapes and formats."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeflow.bench.playback import Playback
from edgeflow.codegen.backends import kernel_sets
from edgeflow.codegen.build import compile_program
from edgeflow.codegen.kernels import MatvecKernel, kernels_of
from edgeflow.device import open_board
from edgeflow.program import InputFormat, Linear, Matrix, Program
from edgeflow.program.fixedpoint import Ints, largest_magnitude, symmetric_max
from edgeflow.program.nodes.base import INT16, Node, State
from edgeflow.targets.board import load_board
from tests.harness import BOARDS
from tests.random_nodes.matrices import random_matrix

#: Matrices of a kernel on a board; in all more than a thousand.
DRAWS, STEPS = 24, 6


@dataclass(frozen=True)
class Feed(Playback):
    """Samples, and behind them the digest that it reads."""

    op_type = "Feed"

    @property
    def outputs(self) -> int:
        return self.width + 1

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        samples, following = super().step(x, state)
        return np.concatenate([samples, x], axis=1), following

    def c_call(self, x: str, y: str, state: Mapping[str, str], scratch: tuple[str, str]) -> str:
        return f"{super().c_call(x, y, state, scratch)}\n    {y}[{self.width}] = {x}[0];"


@dataclass(frozen=True)
class Digested(Linear):
    """A product of all but the last value, folded into that one: any bit of it changes the rest."""

    #: 1, 3, 5, ... by row: any bit of a result changes the sum.
    odd: NDArray[np.int16]

    op_type = "Digested"
    array_fields = {"odd": INT16}  # noqa: RUF012

    @property
    def inputs(self) -> int:
        return self.matrix.cols + 1

    @property
    def input_bits(self) -> int:
        return 16

    @property
    def outputs(self) -> int:
        return 1

    @property
    def scratch(self) -> int:
        return self.matrix.rows

    def advance(self, x: Ints, state: State) -> tuple[Ints, State]:
        y, following = Linear("inner", self.matrix).advance(x[:, :-1], state)
        folded = x[:, -1:] * 31 + (y * self.odd).sum(axis=-1, keepdims=True)
        return (folded + 32768) % 65536 - 32768, following

    def c_call(self, x: str, y: str, state: Mapping[str, str], scratch: tuple[str, str]) -> str:
        name, buffer = f"{self.name}_matrix", scratch[0]
        return (
            f"{{\n        uint32_t digest = (uint16_t){x}[{self.matrix.cols}] * 31u;\n"
            f"        {name}.matvec(&{name}, {x}, {buffer});\n"
            f"        for (unsigned i = 0; i < {self.matrix.rows}; i++)\n"
            f"            digest += (uint32_t){buffer}[i] * (uint32_t){self.name}_odd[i];\n"
            f"        {y}[0] = (int16_t)(uint16_t)digest;\n    }}"
        )


def draw(rng: np.random.Generator, kernel: MatvecKernel) -> Matrix:
    """Return a matrix of any shape and format that the kernel is exact on."""
    while True:
        bits = int(rng.choice([2, 8, 9, 12, 12, 16]))
        rows, cols = (int(v) for v in rng.integers(1, [rng.choice([9, 90]), rng.choice([9, 140])]))
        matrix = random_matrix(rng, rows, cols, bits, extreme=bool(rng.integers(2)))
        top = int(rng.choice([7, 31, 127]))
        kept = rng.random((-(-rows // 8), cols)) < rng.choice([0.1, 0.5, 1])
        weight = np.clip(matrix.weight, -top, top) * kept.repeat(8, 0)[:rows]
        # where the largest weights are smaller, sums are, and ratios may be below 1/2
        most = (1 << 31) - 1 >> matrix.shift if rng.integers(4) else (1 << 31) - 1
        matrix = replace(
            matrix,
            weight=weight.astype(np.int8),
            multiplier=np.minimum(matrix.multiplier, most),
            bias=(matrix.bias // rng.choice([1, 64])).astype(np.int32),
        )
        if kernel.delta or rng.integers(4) == 0:
            threshold = int(rng.choice([1, rng.integers(1, 1 << bits), 65535]))
            matrix = replace(matrix, threshold=threshold, group=int(rng.choice([1, 1, 2, 3, 4])))
        if kernel.is_exact_for(matrix):
            return matrix


def sweep(rng: np.random.Generator, kernel: MatvecKernel, draws: int = DRAWS) -> Program:
    """Return a program that multiplies `draws` matrices with their own samples, and digests it."""
    nodes: list[Node] = []
    for k in range(draws):
        matrix = draw(rng, kernel)
        limit = symmetric_max(matrix.input_bits)
        x = rng.integers(-limit, limit + 1, (STEPS, matrix.cols))
        # the worst input of a row, and a full-width value that is not symmetric
        row = matrix.weight[rng.integers(matrix.rows)]
        x[1] = np.where(row < 0, limit, -largest_magnitude(matrix.input_bits))
        x[2] = np.where(rng.random(matrix.cols) < 0.2, x[2], x[1])
        samples: NDArray[np.int16] = x.reshape(-1).astype(np.int16)
        nodes.append(Feed(f"feed{k}", samples, matrix.cols, STEPS, 16, reads=1))
        odd = np.arange(1, 2 * matrix.rows, 2, dtype=np.int16)
        nodes.append(Digested(f"layer{k}", matrix, odd))
    one = np.ones(1, np.float32)
    return Program(tuple(nodes), InputFormat(0 * one, one, 16, ("digest",)), 1.0)


def runnable_on(board: str) -> list[MatvecKernel]:
    return kernels_of(kernel_sets(load_board(board).core, "auto"))


#: AVR boards have the same kernels; the larger one has RAM for some delta matrices at least.
AVR = "sim-atmega2560"
SWEPT = [*BOARDS, AVR]
CASES = [(board, kernel.name) for board in SWEPT for kernel in runnable_on(board)]


def check(board: str, name: str, folder: Path, seed: int) -> None:
    kernel = next(k for k in runnable_on(board) if k.name == name)
    draws = DRAWS // 2 if board == AVR else DRAWS
    program = sweep(np.random.default_rng([seed, CASES.index((board, name))]), kernel, draws)
    x = np.arange(STEPS, dtype=np.int16)[:, None]
    forced = {f"layer{k}.matrix": name for k in range(draws)}
    spec = load_board(board)
    build = compile_program(program, spec, folder, kernels=forced, any_part=True)
    with open_board(spec, image=build.elf) as device, device.connect(program.hash) as client:
        y = client.steps(x, reset=True).y
    np.testing.assert_array_equal(y, program.run(x[None])[0])


def test_a_wrong_bit_shows() -> None:
    program = sweep(np.random.default_rng(1), runnable_on("host")[-1])
    x = np.arange(STEPS, dtype=np.int16)[None, :, None]
    first = program.nodes[1]
    assert isinstance(first, Digested)
    bias = first.matrix.bias.copy()
    bias[0] += np.sign(0.5 - bias[0]).astype(np.int32) * (1 << 12)
    nodes = list(program.nodes)
    nodes[1] = replace(first, matrix=replace(first.matrix, bias=bias))
    assert (replace(program, nodes=tuple(nodes)).run(x) != program.run(x)).any()


def test_there_are_more_than_a_thousand() -> None:
    assert len(CASES) * DRAWS >= 1000


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize("board,kernel", CASES)
def test_every_kernel_equals_the_oracle(board: str, kernel: str, tmp_path: Path) -> None:
    check(board, kernel, tmp_path, seed=0)

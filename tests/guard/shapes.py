"""Random layers for each kernel, within what it takes, and chains of them that fit a board."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from edgeflow.bench.kernels import Format, bench_matrix
from edgeflow.bench.playback import Playback
from edgeflow.codegen.kernels import MatvecKernel
from edgeflow.errors import ProgramError
from edgeflow.program import InputFormat, Linear, Matrix, Node, Program
from edgeflow.program.fixedpoint import largest_magnitude, symmetric_max
from edgeflow.program.nodes import Decimate
from edgeflow.targets.board import BoardSpec
from tests.guard.image import GAP
from tests.random_nodes.draw import DRAW
from tests.random_nodes.matrices import random_matrix, with_delta, with_low_rank


def random_linear(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                  state_bits: int, extreme: bool) -> Node:  # fmt: skip
    return Linear(name, random_matrix(rng, size, width, bits, extreme))


def random_passing(rng: np.random.Generator, name: str, width: int, size: int, bits: int,
                   state_bits: int, extreme: bool) -> Node:  # fmt: skip
    """Draw a divider that passes every step on: what is behind others would not always run."""
    return Decimate(name, width, bits, 0, 1)


#: What draws a layer of each kind; a matrix alone is one, as its delta and low rank have functions.
#: Not what learns, of which a program has one at most.
CELLS: dict[str, Callable[..., Node]] = {
    **DRAW, "linear": random_linear, "decimate": random_passing,
}  # fmt: skip

#: Samples that each layer reads.
STEPS = 3


@dataclass(frozen=True)
class Chain:
    """Layers that have nothing to do with each other, each behind one that plays its input back."""

    program: Program
    shifted: tuple[str, ...]  # layers whose outputs begin at odd words
    kernels: dict[str, str]  # of matrices, if they are asked for
    layers: int


def random_size(rng: np.random.Generator, most: int) -> int:
    """Return a size in 1..most, small ones more often."""
    return int(rng.integers(1, 1 + min(most, int(rng.choice([16, 48, 96, most])))))


def random_matrix_for(kernel: MatvecKernel, rng: np.random.Generator, most: int = 300) -> Matrix:
    """Return a matrix that a kernel takes: any shape, share of zeros, width, threshold and group."""
    for _ in range(10_000):
        form = Format(int(rng.choice([4, 8])), int(rng.choice([2, 8, 12, 15, 16])))
        stored = kernel.sparse
        block = (1, 1) if stored is None or rng.integers(4) == 0 else (stored.rows, stored.cols)
        density = 1.0 if rng.integers(3) == 0 else float(rng.choice([0, 0.02, 0.1, 0.3, 0.7]))
        rows, cols = random_size(rng, 80), random_size(rng, most)
        if rng.integers(2):
            cols = int(rng.integers(1, 33))
        matrix = bench_matrix(rows, cols, form, int(rng.integers(1 << 31)), density, block)
        less, shift = 2 ** int(rng.integers(7)), int(rng.integers(1, 5))
        changes: dict[str, object] = {
            "weight": (np.sign(matrix.weight) * (np.abs(matrix.weight) // less)).astype(np.int8),
            "bias": (matrix.bias // less // 2).astype(np.int32),
            "shift": shift,
        }
        if kernel.delta:
            reach = 2 * largest_magnitude(form.activation_bits)
            changes["threshold"] = int(rng.choice([1, rng.integers(1, reach), 65535]))
            changes["group"] = int(rng.choice([1, 2, 4, rng.integers(1, 256)]))
        try:
            matrix = replace(matrix, **changes)
        except ProgramError:  # the accumulator could overflow
            continue
        if kernel.is_exact_for(matrix):
            return matrix
    raise AssertionError(f"{kernel.name} takes none of what is drawn")


def matvec_layers(
    kernel: MatvecKernel, seed: int, count: int, most: int = 300
) -> Iterator[tuple[Node, str]]:
    """Give `count` layers of one matrix each, and the name of the kernel."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        yield Linear("layer", random_matrix_for(kernel, rng, most)), kernel.name


def cell_layers(cell: str, seed: int, count: int, most: int = 24) -> Iterator[tuple[Node, None]]:
    """Give `count` layers of a cell, some with delta matrices and matrices of low rank."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        bits = int(rng.choice([2, 8, 12, 16] if cell in ("lif", "l2mu") else [8, 12, 16]))
        width, size, extreme = random_size(rng, most), random_size(rng, most), rng.integers(4) == 0
        node = CELLS[cell](rng, "layer", width, size, bits, int(rng.integers(8, 17)), bool(extreme))
        kind = rng.integers(4)
        if kind == 0:
            node = with_low_rank(rng, node)
        yield (with_delta(rng, node) if kind in (0, 1) else node), None


def chains(
    layers: Iterable[tuple[Node, str | None]], spec: BoardSpec, seed: int = 0
) -> Iterator[Chain]:
    """Give programs of the layers, each as long as fits the board."""
    rng = np.random.default_rng(seed)
    room = _room(spec)
    nodes: list[Node] = []
    names: dict[str, str] = {}
    used = [0, 0]

    def chain() -> Chain:
        played = [n.name for n in nodes if isinstance(n, Playback)]
        end = Playback("end", np.zeros(1, np.int16), 1, 1, 16, reads=nodes[-1].outputs)
        shifted = tuple(name for name in played if rng.integers(2))
        return Chain(program_of([*nodes, end]), shifted, dict(names), len(played))

    for number, (layer, kernel) in enumerate(layers):
        node = replace(layer, name=f"k{number}")
        need = _need(node)
        over = any(u + n > limit for u, n, limit in zip(used, need, room, strict=True))
        if nodes and (over or len(nodes) >= 200):
            yield chain()
            nodes, names, used = [], {}, [0, 0]
        width = nodes[-1].outputs if nodes else 1
        x = _inputs(rng, node)
        nodes += [
            Playback(f"x{number}", x.reshape(-1), node.inputs, len(x), node.input_bits, width),
            node,
        ]
        if kernel is not None:
            names |= {f"{node.name}.{field}": kernel for field in node.products()}
        used = [u + n for u, n in zip(used, need, strict=True)]
    if nodes:
        yield chain()


def _room(spec: BoardSpec) -> tuple[int, int]:
    """Return the bytes of flash and RAM that layers may take, by the estimate of `_need`."""
    if not spec.memory:
        return 1 << 22, 1 << 22
    return spec.memory["flash"].size // 2, spec.memory["ram"].size - spec.stack - 1024


def program_of(nodes: list[Node]) -> Program:
    """Return a program of the layers."""
    ones = np.ones(nodes[0].inputs, np.float32)
    names = tuple(f"c{i}" for i in range(nodes[0].inputs))
    return Program(tuple(nodes), InputFormat(0 * ones, ones, nodes[0].input_bits, names), 1.0)


def _inputs(rng: np.random.Generator, node: Node) -> np.ndarray:
    limit = symmetric_max(node.input_bits)
    x = rng.integers(-limit, limit + 1, (STEPS, node.inputs)).astype(np.int16)
    x[0] = rng.choice([-limit, limit], node.inputs)
    return x


def _need(node: Node) -> tuple[int, int]:
    """Return about how much flash and RAM a layer takes, with the room around its arrays."""
    products = node.products().values()
    parts = 3 * len(products) + len(node.arrays()) + 1
    sums = sum(8 * (m.rows + 16) for m in products if m.threshold)
    states = sum(state.nbytes + 8 + GAP for state in [*node.states.values(), *node.held.values()])
    values = 2 * (node.inputs + node.outputs + node.scratch + 2 * node.scratch32 + 16)
    values += sum(2 * m.cols + 8 + 2 * GAP for m in products if m.factor)
    flash = 2 * node.weight_bytes() + 2 * STEPS * node.inputs + sums + 600 + parts * (GAP + 40)
    return flash, values + states + sums + 5 * GAP

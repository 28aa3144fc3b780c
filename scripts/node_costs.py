"""Measures what steps cost around their products, and code: calibration/costs/nodes and sizes.

    python scripts/node_costs.py [--board qemu-m4 ...] [--layers 10] [--kinds log_mel ...]

Random layers of every kind, as the tests draw them, run on emulated boards; each of their products
is measured alone and taken off. `edgeflow inspect` and searches expect costs by these files, and
`pytest --slow tests/boards/test_expected.py` checks them on other programs.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import numpy as np

from edgeflow.bench.cells import random_cell, random_walks
from edgeflow.bench.measure import run_program
from edgeflow.bench.nodes import fit_nodes
from edgeflow.bench.sizes import measure_sizes
from edgeflow.calibration import write_data
from edgeflow.codegen.expected import expected
from edgeflow.codegen.node_costs import NodeCosts, form, load_node_costs
from edgeflow.errors import ProgramError
from edgeflow.files import scratch_folder
from edgeflow.program import Program
from edgeflow.program.firing import active_shares
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes import Decimate, Node, ZeroOrderHold
from edgeflow.program.nodes.log_mel import SIZES as TRANSFORMS
from edgeflow.program.nodes.log_mel import log_mel_of
from edgeflow.recipes.sketch import sketch
from edgeflow.resources import resource
from edgeflow.targets.board import BoardSpec, list_boards, load_board
from tests.random_nodes.between import random_multiply
from tests.random_nodes.decisions import DECISIONS
from tests.random_nodes.draw import DRAW
from tests.random_nodes.matrices import random_matrix

#: The boards whose cores have all kinds of kernels.
BOARDS = ("qemu-m0", "qemu-m4", "qemu-m55", "qemu-rv32")
#: Inputs and units of the layers that are drawn.
SIZES = (
    (6, 16),
    (3, 24),
    (12, 33),
    (40, 48),
    (9, 7),
    (20, 64),
    (2, 40),
    (16, 12),
    (27, 30),
    (5, 80),
)
#: Programs that are compiled for sizes, and run to tell the error: cell, inputs, units. The first
#: calls nothing of the C library.
PROGRAMS = (
    ("rnn", 5, 8), ("gru", 5, 12), ("lmuformer", 5, 8), ("cfc", 3, 12), ("lif", 3, 12),
    ("lmu", 4, 8), ("lru", 3, 8), ("gru", 6, 48), ("lstm", 9, 40), ("mingru", 3, 61),
    ("lmu", 7, 37), ("ltc", 6, 24), ("minlstm", 6, 33), ("cuba-lif", 6, 50), ("l2mu", 4, 20),
)  # fmt: skip
ABOUT = """Instructions of layers' steps around their matrix products, as `python
scripts/node_costs.py` fits them to random layers: see edgeflow/codegen/node_costs.py."""
ABOUT_SIZES = """Bytes of code, and of the firmware around a program, as `python
scripts/node_costs.py` measures them: see edgeflow/codegen/code_sizes.py."""


#: How layers are drawn; what follows a decimation must hold it.
KINDS: dict[str, Callable[..., Node]] = {**DRAW, "multiply": random_multiply, **DECISIONS}
del KINDS["decimate"]


def layers(most: int, kinds: Sequence[str], seed: int = 0) -> Iterator[Node]:
    """Yield random layers of some kinds, at most so many of each form."""
    for kind in kinds:
        draw, rng = KINDS[kind], np.random.default_rng([seed, *kind.encode()])
        seen: Counter[str] = Counter()
        for number in range(12 * most):
            if number >= most and min(seen.values(), default=0) >= most:
                break
            width, size = SIZES[number % len(SIZES)]
            node = _drawn(kind, draw, rng, width, min(size, 32) if kind == "ltc" else size)
            if node is not None:
                seen[form(node)] += 1
                if seen[form(node)] <= most:
                    yield node


def holds() -> Iterator[Node]:
    """Yield what lets layers run at a lower rate."""
    for width, _ in SIZES:
        yield Decimate("layer", width, 12, 0, 1)
        yield ZeroOrderHold("layer", width, 12)


def _drawn(
    kind: str, draw: Callable[..., Node], rng: np.random.Generator, width: int, size: int
) -> Node | None:
    bits, state_bits = int(rng.choice([8, 12, 16])), int(rng.integers(8, 17))
    if kind in DECISIONS:
        return draw(rng, "layer", rng.integers(-9999, 9999, (40, 2 * width)), False)
    if kind == "ltc":  # whose cost is up to its wiring and to the size of its sums
        options = {"unfolds": int(rng.integers(1, 8))}
        return sketch("ltc", width, 4, hidden=size, options=options).nodes[0]
    if kind == "log_mel":  # as models have it, with filters side by side
        points = int(rng.choice(TRANSFORMS))
        return log_mel_of(
            "layer", 16e3, hop=int(rng.integers(points // 4, points)), frame=points,
            size=points, channels=int(rng.integers(8, 33)), low_hz=0.0, high_hz=8e3,
        )  # fmt: skip
    with suppress(ProgramError):
        if kind == "multiply":
            return draw(rng, "layer", 2 * width, 0, bits, state_bits, False)
        return draw(rng, "layer", width, size, bits, state_bits, False)
    return None


def matrix(rows: int, cols: int) -> Matrix:
    return random_matrix(np.random.default_rng([rows, cols]), rows, cols, 12, False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", nargs="+", default=BOARDS)
    parser.add_argument("--layers", type=int, default=10, help="of each form")
    parser.add_argument(
        "--kinds", nargs="+", choices=KINDS, help="measure these again, and keep all else"
    )
    asked = parser.parse_args()
    drawn = list(layers(asked.layers, asked.kinds or list(KINDS)))
    drawn += [] if asked.kinds else list(holds())
    print(f"{len(drawn)} layers of {len({form(node) for node in drawn})} forms", flush=True)
    programs = [random_cell(*program) for program in PROGRAMS]
    for board in map(load_board, asked.board):
        same = [one for one in list_boards() if one.core.name == board.core.name]
        same.sort(key=lambda one: one.name != board.name)
        costs, folder = fit_nodes(drawn, board, matrix), resource("calibration") / "costs"
        before = load_node_costs(board.core.name)
        if asked.kinds and before is not None:
            costs = before.model_copy(update={"forms": {**before.forms, **costs.forms}})
        errors = [_error(program, board, costs) for program in programs]
        costs = costs.model_copy(update={"error_percent": round(100 * max(errors), 1)})
        name = f"{board.core.name}.toml"
        if not asked.kinds:
            write_data(measure_sizes(same, programs), folder / "sizes" / name, ABOUT_SIZES)
        write_data(costs, folder / "nodes" / name, ABOUT)
        for kind, cost in costs.forms.items():
            print(board.name, kind, f"+-{cost.error_percent} %", flush=True)
        print(board.name, f"+-{costs.error_percent} % of programs", flush=True)


def _error(program: Program, board: BoardSpec, costs: NodeCosts) -> float:
    """Return the error of the formula on a program, as a share of what it takes."""
    x = program.quantize_input(random_walks(program.inputs, 1, 30, seed=1)[0])
    told = expected(program, board, active=active_shares(program, x[None]), known=costs)
    with scratch_folder("costs") as folder:
        _, counts, _ = run_program(program, board, folder, x, backend="c")
    assert told.instructions is not None
    return abs(told.instructions / float(counts.instructions.mean()) - 1)


if __name__ == "__main__":
    main()

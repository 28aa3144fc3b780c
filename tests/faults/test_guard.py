"""Kernels touch nothing but their buffers, on every core and of every shape (tier: faults).

Sanitizers do not see into assembly, and outputs that are right do not tell that a kernel read
behind its weights or wrote behind its results: where memory ends there, that is a fault on one
board in a thousand. Here each load and store of each layer is held against what ``ef_kernels.h``
promises, to the byte.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from edgeflow.bench.kernels import FORMATS, bench_matrix
from edgeflow.bench.playback import Playback
from edgeflow.codegen.kernels import KERNEL_SETS, kernel_named
from edgeflow.codegen.sources import source_file
from edgeflow.program import Linear, Node
from edgeflow.targets.board import load_board
from tests.guard.image import FOLDER, Guarded, Run
from tests.guard.shapes import CELLS, STEPS, cell_layers, chains, matvec_layers, program_of
from tests.harness import BOARD_SETS
from tests.random_nodes.adaptive import ALL, random_learner
from tests.random_programs import samples

pytestmark = pytest.mark.board

#: Only QEMU takes the plugin. Boards whose kernels in C are compiled as on another one.
SISTERS = {("qemu-m7", "c"), ("qemu-m33", "c"), ("qemu-rv32-zbb", "c"), ("qemu-a55", "c")}
KERNELS = [
    (board, kernel.name)
    for board, name in BOARD_SETS
    if load_board(board).emulated and (board, name) not in SISTERS
    for kernel in KERNEL_SETS[name]
    if kernel.kernel_set == name
]
#: Boards by default, and all that have steps of their own, each with its kernel set.
CELL_BOARDS = {"qemu-m0": "armv6m", "qemu-m4": "dsp", "qemu-m55": "mve", "qemu-rv32": "rv32"}
CELL_SETS = {**CELL_BOARDS, "qemu-a53": "neon"}
#: Steps of what learns of the values that it forecast.
LEARNING = 40
#: Not on AArch64, where the compiler keeps vectors that it needs in memory without a name.
TVM_SETS = {"qemu-m0": "tvm", "qemu-m4": "tvm_dsp", "qemu-m55": "tvm_mve", "qemu-rv32": "tvm"}


def guarded(
    board: str,
    layers: Iterable[tuple[Node, str | None]],
    folder: Path,
    kernel_sets: list[str] | None = None,
    backend: str = "c",
) -> list[Run]:
    """Run layers, as many a boot as fit, and check that each was watched and right."""
    spec = load_board(board)
    runs = []
    for chain in chains(layers, spec):
        kernels = set(chain.kernels.values())
        # then there is nothing to choose
        one = list(kernels) if len(kernels) == 1 and backend == "c" else None
        run = Guarded(
            spec,
            chain.program,
            folder / "image",
            steps=STEPS,
            backend=backend,
            kernel_sets=one or kernel_sets,
            kernels=None if one else chain.kernels or None,
            shifted=chain.shifted,
        ).run()
        # each plays back, then works: none of them unwatched
        assert run.accesses.shape == (STEPS, 2 * chain.layers + 2)
        assert run.accesses[:, : 2 * chain.layers].min() > 0
        assert run.wrong == 0
        runs.append(run)
    return runs


def hits_of(runs: list[Run]) -> list[str]:
    return sorted(
        {f"{h.function} {h.near} {h.size}{' store' * h.store}" for r in runs for h in r.hits}
    )


#: Functions of broken.S: where the access is that is one too many, and whether it is a store.
BROKEN = {
    "touches_the_last": None,
    "loads_behind_x": ("model.x@_y", False),
    "loads_before_x": ("model.", False),
    "stores_to_x": ("model.x@_y+0", True),
    "stores_behind_y": ("model.k@_y", True),
    "stores_before_y": ("model.", True),
    "loads_behind_weights": ("k@_matrix_weights", False),
    "loads_before_weights": ("x@_samples", False),
}
#: Of Helium's predicated loads, only lanes that are active are accesses.
LANES = {"loads_active_lanes": None, "loads_a_lane_too_many": ("model.x@_y", False)}


@pytest.mark.parametrize("board", dict.fromkeys(board for board, _ in KERNELS))
def test_a_kernel_that_touches_one_value_too_many_is_caught(board: str, tmp_path: Path) -> None:
    """By assembly of each instruction set; what ends at the last value is none."""
    spec, matrix = load_board(board), bench_matrix(4, 3, FORMATS["w8a12"])
    cases = BROKEN | (LANES if "mve" in spec.core.kernels else {})
    nodes: list[Node] = []
    for number in range(len(cases)):
        width = matrix.rows if nodes else 1
        nodes.append(Playback(f"x{number}", np.ones(3, np.int16), 3, 1, 12, reads=width))
        nodes.append(Linear(f"k{number}", matrix))
    nodes.append(Playback("end", np.zeros(1, np.int16), 1, 1, 16, reads=matrix.rows))
    run = Guarded(
        spec, program_of(nodes), tmp_path / "image", steps=1, kernel_sets=["ef_matvec_s8_s16"],
        replaced={f"k{number}": name for number, name in enumerate(cases)},
        more=[FOLDER / "broken.S"],
    ).run()  # fmt: skip
    hits = {hit.function.partition("+")[0]: hit for hit in run.hits}
    assert len(hits) == len(run.hits)
    assert list(hits) == [name for name, where in cases.items() if where]
    for number, (name, where) in enumerate(cases.items()):
        if where is not None:
            assert hits[name].layer == f"k{number}" and hits[name].store == where[1]
            assert hits[name].near.startswith(where[0].replace("@", str(number))), hits[name]


@pytest.mark.parametrize("board", CELL_BOARDS)
def test_kernels_of_a_board_touch_their_buffers_only(board: str, tmp_path: Path) -> None:
    """20 shapes of each kernel."""
    layers = [
        layer
        for name in dict.fromkeys(k for b, k in KERNELS if b == board and at_home(b, k))
        for layer in matvec_layers(kernel_named(name), 0, 20, 100)
    ]
    assert hits_of(guarded(board, layers, tmp_path)) == []


@pytest.mark.parametrize("board", CELL_BOARDS)
def test_cells_touch_their_buffers_only(board: str, tmp_path: Path) -> None:
    """Three shapes of each, two of them with an odd number of units."""
    layers = [layer for cell in CELLS for layer in cell_layers(cell, 3, 3)]
    assert hits_of(guarded(board, layers, tmp_path, [CELL_BOARDS[board], "c"])) == []


@pytest.mark.parametrize("board", CELL_BOARDS)
@pytest.mark.parametrize("kind", ALL)
def test_what_learns_touches_its_buffers_only(kind: str, board: str, tmp_path: Path) -> None:
    """A program each, as it has one that learns at most; long enough for forecasts to come true."""
    drawn = random_learner(1, kind, 9, 5)
    node = next(one for one in drawn.nodes if one.saved)
    x = samples(program_of([node]), 1, 1, LEARNING)[0]
    nodes = [Playback("x", x.reshape(-1), node.inputs, len(x), node.input_bits, 1), node]
    run = Guarded(
        load_board(board), program_of(nodes), tmp_path / "image", steps=LEARNING,
        kernel_sets=[CELL_BOARDS[board], "c"],
    ).run()  # fmt: skip
    assert run.accesses.shape[0] == LEARNING and run.accesses[:, :2].min() > 0
    assert hits_of([run]) == []


@pytest.mark.parametrize("board,kernel", KERNELS)
@pytest.mark.slow
def test_kernels_on_a_thousand_shapes(board: str, kernel: str, tmp_path: Path) -> None:
    """A hundred on boards whose kernels another one has."""
    count = 1000 if at_home(board, kernel) else 100
    layers = matvec_layers(kernel_named(kernel), 1, count, 150 if board == "qemu-m0" else 300)
    assert hits_of(guarded(board, layers, tmp_path)) == []


@pytest.mark.parametrize(
    "board,kernel", [(b, k.name) for b, name in TVM_SETS.items() for k in KERNEL_SETS[name]]
)
@pytest.mark.slow
def test_kernels_by_tvm(board: str, kernel: str, tmp_path: Path) -> None:
    """Ten shapes, each with a function of its own."""
    layers = matvec_layers(kernel_named(kernel), 1, 10, 40)
    assert hits_of(guarded(board, layers, tmp_path, backend="tvm")) == []


@pytest.mark.parametrize("board", CELL_SETS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.slow
def test_cells_on_a_thousand_shapes(board: str, cell: str, tmp_path: Path) -> None:
    """A hundred where the board's set has no step of its own for the cell."""
    layers = cell_layers(cell, 1, 1000 if own_step(board, cell) else 100)
    assert hits_of(guarded(board, layers, tmp_path, [CELL_SETS[board], "c"])) == []


def at_home(board: str, kernel: str) -> bool:
    """Tell whether a board is the first one that has a kernel; for those in C it is the M0."""
    return next(b for b, k in KERNELS if k == kernel) == board


def own_step(board: str, cell: str) -> bool:
    """Tell whether the board is where a cell's step is tested most: of its set, or the M0 for C."""
    ((node, _),) = cell_layers(cell, 1, 1)
    functions = {node.c_function, *node.c_helpers} - {None}
    files = {source_file(function, [CELL_SETS[board]]) for function in functions if function}
    return board == "qemu-m0" or any("/" in file for file in files)

"""Weights and kernels in any memory of a board: same bits, honest sizes, no flash to wait for."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edgeflow.bench.cells import bench_cells, random_cell, random_walks
from edgeflow.bench.measure import run_program
from edgeflow.cli import app
from edgeflow.codegen.build import Build, compile_program
from edgeflow.errors import TargetError
from edgeflow.program import Program
from edgeflow.targets.board import BoardSpec, Placement, Region, load_board
from edgeflow.targets.elf import Image
from edgeflow.targets.part import DataCache
from edgeflow.targets.size import SizeReport, measure_size

pytestmark = pytest.mark.board

COPIED = ("weights", "tables", "kernels", "model_code")
#: For the code of a GRU image on a Cortex-M4, its model's own and all constants aside.
LARGEST = 4096


@pytest.fixture(scope="module")
def program() -> Program:
    return random_cell("gru", 6, 11)


def with_tcm(name: str) -> BoardSpec:
    """Return a board whose RAM is cut in two."""
    board = load_board(name)
    ram = board.memory["ram"]
    tcm = ram.size // 4
    memory = {
        **board.memory,
        "ram": Region(base=ram.base, size=ram.size - tcm),
        "tcm": Region(base=ram.base + ram.size - tcm, size=tcm),
    }
    return board.model_copy(update={"memory": memory})


def sizes(build: Build) -> SizeReport:
    return measure_size(build.elf, build.objects)


BOARDS = ["qemu-m0", "qemu-m4", "qemu-m7", "qemu-m55", "qemu-rv32"]


@pytest.mark.parametrize(
    ("name", "backend", "step"),
    [
        *((name, "c", "ef_gru_step") for name in BOARDS),
        ("qemu-m4", "tvm", "ef_tvm_rnn_step"),
        # where code lies is the linker scripts' affair, which C has shown
        *(
            pytest.param(name, "tvm", "ef_tvm_rnn_step", marks=pytest.mark.slow)
            for name in BOARDS
            if name != "qemu-m4"
        ),
    ],
)
def test_every_memory_gives_the_same_bits(
    name: str, backend: str, step: str, program: Program, tmp_path: Path
) -> None:
    memories = ["flash", "ram", "tcm"]
    if backend == "tvm":
        pytest.importorskip("tvm", reason="apache-tvm is not installed")
        if name == "qemu-m0":
            memories.remove("tcm")  # TVM's code is larger than a quarter of the board's RAM
    board = with_tcm(name)
    x = program.quantize_input(random_walks(6, 1, 20, seed=3)[0])
    expected = program.run(x[None])[0]
    cache = DataCache(line_bytes=8, lines=1)
    fetched = {}
    for part in memories:
        placed = board.placed(weights=part, kernels=part)
        build, counts, y = run_program(
            program, placed, tmp_path / part, x, data_cache=cache, backend=backend
        )
        assert (y == expected).all()
        assert Build.load(tmp_path / part).placement == Placement(weights=part, kernels=part)
        fetched[part] = int(counts.fetched.sum())
        region = board.memory[part]
        for symbol in ("rnn_recurrent_weights", "ef_table_tanh", step, "model_step"):
            assert (
                region.base <= Image(build.elf).by_name[symbol].address < region.base + region.size
            )
        size = sizes(build)
        for key in COPIED:
            assert size.ram[key] == (size.flash[key] if part != "flash" else 0)
        assert sum(size.ram.values()) == size.ram_bytes
    # hardly anything is left in the flash that a step reads
    assert max(fetched[memory] for memory in memories[1:]) < 0.02 * fetched["flash"]


def test_the_estimate_follows_from_the_placement() -> None:
    board = load_board("qemu-m4")
    rows = [
        bench_cells(board.placed(weights=memory), cells=["gru"], hidden=[16], steps=10)[0]
        for memory in ("flash", "ram")
    ]
    assert rows[0].instructions == rows[1].instructions
    assert rows[0].cycles is not None and rows[1].cycles is not None
    assert rows[1].cycles < 0.85 * rows[0].cycles
    assert rows[1].ram_bytes - rows[0].ram_bytes > 16 * 3 * (16 + 6)


def test_the_command_line_places_and_says_so(program: Program, tmp_path: Path) -> None:
    program.save(tmp_path / "model.onnx")
    arguments = ["compile", str(tmp_path / "model.onnx"), "-o", str(tmp_path / "build"), "--json"]
    done = CliRunner().invoke(app, [*arguments, "--weights-in", "ram"])
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert content["placement"] == {"weights": "ram", "kernels": "flash"}
    assert content["size"]["ram"]["weights"] == content["size"]["flash"]["weights"] > 0
    assert content["size"]["ram"]["kernels"] == 0


def test_a_memory_that_is_too_small_is_named(program: Program, tmp_path: Path) -> None:
    board = load_board("qemu-m4")
    tcm = {**board.memory, "tcm": Region(base=0x1000_0000, size=1024)}
    small = board.model_copy(update={"memory": tcm}).placed(weights="tcm")
    needs = r"no room: .* of 1,024 bytes of tcm; what would fit: leave weights and kernels in flash"
    with pytest.raises(TargetError, match=needs) as error:
        compile_program(program, small, tmp_path)
    assert "\n" not in str(error.value)


def test_what_cannot_be_placed_is_refused() -> None:
    with pytest.raises(TargetError, match="qemu-m4: weights in 'dtcm': .*flash, ram"):
        load_board("qemu-m4").placed(weights="dtcm")
    with pytest.raises(TargetError, match="qemu-a53: its operating system"):
        load_board("qemu-a53").placed(kernels="ram")


@pytest.mark.parametrize("optimize", ["balanced", "size"])
def test_the_code_of_a_gru_image_stays_small(optimize: str, tmp_path: Path) -> None:
    build = compile_program(random_cell("gru", 6, 64), "qemu-m4", tmp_path, optimize=optimize)
    code = sizes(build).code
    assert code["library"] == 0
    vectors = next(s.size for s in Image(build.elf).sections if s.name == ".vectors")
    assert sum(code.values()) - code["model"] + vectors <= LARGEST
    if optimize == "balanced":
        # the two products have kernels of their own
        assert np.unique([choice.kernel for choice in build.choices]).size == 2

"""Whether a program fits its board, its part and the time between samples, without a compiler.

Tier: unit. It alone would catch a part without memories, a limit that is off by the stack or by a
memory, an error where an estimate could still be wrong, and advice that names what does not fit.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from edgeflow.calibration import read_data
from edgeflow.codegen.choice import Choice, choose_kernels
from edgeflow.codegen.fit import Fit
from edgeflow.codegen.step_costs import expected_cycles, fetched_lines, load_step_costs
from edgeflow.errors import NoRoomError, TargetError
from edgeflow.profiling.models import load_cycle_model
from edgeflow.program import Program
from edgeflow.program.nodes.cutoff import Cutoff
from edgeflow.resources import resource
from edgeflow.targets.board import BoardSpec, Placement, list_boards, load_board
from edgeflow.targets.part import Part, estimated_part, load_part
from edgeflow.targets.room import STACK, Use, part_uses, used_memory
from edgeflow.targets.size import SizeReport
from tests.conftest import ROOT
from tests.random_programs import random_program

PARTS = sorted((resource("calibration") / "parts").glob("*.toml"))
SMALL = random_program(0, 3, [16], 4, 12, 12)


def fit(board: str, program: Program = SMALL, **options: object) -> Fit:
    spec = load_board(board)
    sets = ["c"] if program is not SMALL and program.rate_hz == 0 else None  # quick to choose
    choices = choose_kernels(program, spec.core, kernel_sets=sets)
    return Fit(program, spec, choices, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def large() -> Program:
    """A program with 3 MB of weights."""
    return random_program(0, 8, [1000], 4, 12, 12)


@pytest.mark.parametrize("path", PARTS, ids=lambda path: path.stem)
def test_every_part_has_memories_with_a_source(path: Path) -> None:
    memory = read_data(Part, path).memory
    assert memory.sources and 16 << 10 <= memory.ram <= 4 << 20
    assert memory.flash is None or memory.flash >= memory.ram


def test_machines_that_are_their_own_part_have_its_memories() -> None:
    for name in ("qemu-m0", "qemu-m3", "qemu-m55"):
        board, part = load_board(name), estimated_part(load_board(name))
        assert part is not None
        sizes = (board.memory["flash"].size, board.memory["ram"].size)
        assert sizes == (part.memory.flash, part.memory.ram), name


def test_the_documented_memories_are_those_of_the_parts() -> None:
    text = (ROOT / "docs" / "profiling.md").read_text(encoding="utf-8")
    for board in list_boards():
        part = estimated_part(board)
        if part is not None:
            flash, ram = part.memory.flash, f"{size_text(part.memory.ram)}"
            sizes = f"{ram} for both" if flash is None else f"{size_text(flash)}, {ram}"
            row = f"| {board.name} | `{part.name}` | {part.clock_hz / 1e6:g} MHz | {sizes} |"
            assert row in text, row


def size_text(size: int) -> str:
    return f"{size >> 20} MB" if size >= 1 << 20 else f"{size >> 10} KB"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ('unverified = ["dtmc"]', "unverified: no memory 'dtmc'"),
        ("others = { ram = 5 }", "others.ram: write it as ram"),
        ("rom = 5", "memory.rom"),
    ],
)
def test_a_wrong_memory_is_refused(tmp_path: Path, changed: str, message: str) -> None:
    text = (resource("calibration") / "parts" / "bbc-microbit.toml").read_text(encoding="utf-8")
    path = tmp_path / "x.toml"
    path.write_text(text.replace('ram = "16K"', f'ram = "16K"\n{changed}'))
    with pytest.raises(TargetError, match=message):
        read_data(Part, path)


def test_the_parts_of_an_image_go_where_they_are_placed() -> None:
    ram = {"weights": 50, "tables": 5, "kernels": 7, "model_code": 3, "model": 20, "runtime": 10,
           "stack": 40}  # fmt: skip
    size = SizeReport(1000, sum(ram.values()), 40, {}, ram)
    assert used_memory(size, Placement()) == {"flash": 1000, "ram": 95}
    apart = used_memory(size, Placement(weights="dtcm", kernels="itcm"))
    assert apart == {"flash": 1000, "ram": 30, "dtcm": 55, "itcm": 10}
    assert used_memory(size, Placement(weights="ram")) == {"flash": 1000, "ram": 95}
    both = used_memory(size, Placement(weights="tcm", kernels="tcm"))
    assert both == {"flash": 1000, "ram": 30, "tcm": 65}


def test_a_part_without_flash_holds_code_and_data_in_one_memory() -> None:
    used = {"flash": 40_000, "ram": 22_000, "tcm": 500}
    (one,) = part_uses(load_part("ibex-arty-a7"), used, 3000)
    assert one == Use("memory", 65_500, 65_536, 3000) and one.fits
    assert not part_uses(load_part("ibex-arty-a7"), used, 3037)[0].fits


def test_further_memories_count_by_their_names() -> None:
    part = load_part("nucleo-h7a3zi-q")
    uses = {use.memory: use for use in part_uses(part, {"flash": 1, "ram": 2, "dtcm": 3}, 4)}
    assert (uses["ram"].needed, uses["dtcm"].needed, uses["dtcm"].size) == (6, 3, 128 << 10)
    unknown = {use.memory: use.needed for use in part_uses(part, {"ram": 2, "mine": 5}, 4)}
    assert unknown["ram"] == 11 and "mine" not in unknown


def test_weights_of_3_mb_are_too_many_for_2_mb_of_flash(large: Program) -> None:
    """Told before a compiler starts, with what would fit; the emulated board alone has room."""
    with pytest.raises(NoRoomError) as caught:
        fit("qemu-m4", large).check_weights()
    text = str(caught.value)
    assert text.startswith("qemu-m4, for nucleo-l4r5zi: no room: the weights alone need 3,")
    assert "of 2,097,152 bytes of flash; what would fit: " in text and "\n" not in text
    # another core's part has 4 MB; those with 2 MB or less are not named
    assert "of the boards here: qemu-m3, qemu-a53, qemu-a55, host;" in text
    assert "compress --weights int4' and --optimize size (about 1," in text
    assert "--any-part" in text
    fit("qemu-m4", large, any_part=True).check_weights()
    with pytest.raises(NoRoomError, match=r"^qemu-m55: no room: .* of 524,288") as caught:
        fit("qemu-m55", large, any_part=True).check_weights()
    assert "--any-part" not in str(caught.value)


def test_the_room_of_a_part_is_used_up_to_its_last_byte() -> None:
    board = load_board("qemu-rv32")
    ram = dict.fromkeys(("weights", "tables", "kernels", "model_code", "runtime", "stack"), 0)
    room = (64 << 10) - STACK
    for flash, fits in ((room - 1000, True), (room - 999, False)):
        size = SizeReport(flash, 1000, None, {}, {**ram, "model": 1000})
        checks = fit(board.name)
        if fits:
            assert checks.check_room(size) == []
        else:
            with pytest.raises(NoRoomError, match=r"65,537 of 65,536 bytes of memory \(3,072 of"):
                checks.check_room(size)
            (note,) = fit(board.name, any_part=True).check_room(size)
            assert "65,537 of 65,536" in note and "cannot run" in note


def test_every_core_with_a_part_has_costs_of_steps() -> None:
    for board in list_boards():
        if board.estimate is not None:
            costs, model = load_step_costs(board.core.name), load_cycle_model(board.core.name)
            assert costs is not None and model is not None and model.error_percent is not None
            assert costs.lowest <= costs.mean <= costs.highest
            assert costs.error_percent == pytest.approx(model.error_percent, abs=0.06)


def test_what_depends_on_the_data_is_not_among_the_fewest_cycles() -> None:
    part, costs = load_part("nucleo-l4r5zi"), load_step_costs("cortex-m4")
    assert costs is not None
    dense = Choice("a", "m", 64, 64, 12, "k", 1000.0, 4000, "", ())
    delta, spikes = replace(dense, fired=0.2), replace(dense, input_bits=2)
    assert fetched_lines([dense, delta, spikes], part) == 500
    fewest, expected = expected_cycles([dense, delta, spikes], costs, part)
    error = 1 - costs.error_percent / 100
    assert fewest == pytest.approx((1000 * costs.lowest + 500 * 5) * error)
    assert expected == pytest.approx(3000 * costs.mean + 500 * 5)
    # of 32 lines of 8 bytes all may still be there
    assert fetched_lines([replace(dense, weight_bytes=256)], part) == 0
    assert expected_cycles([dense], costs, part, in_flash=False)[1] == 1000 * costs.mean


def limit(board: str, program: Program) -> tuple[float, float]:
    """Return the rates from which on a program is surely, and from which on it may be, too slow."""
    spec = load_board(board)
    part, costs = estimated_part(spec), load_step_costs(spec.core.name)
    assert part is not None and costs is not None
    choices = choose_kernels(program, spec.core)
    fewest, expected = expected_cycles(choices, costs, part)
    return part.clock_hz / fewest, part.clock_hz / (expected * (1 + costs.error_percent / 100))


def test_a_step_longer_than_from_sample_to_sample_is_refused() -> None:
    sure, may = limit("qemu-m0", SMALL)
    assert may < sure
    fast = replace(SMALL, rate_hz=1.01 * sure)
    with pytest.raises(TargetError) as caught:
        fit("qemu-m0", fast).check_time()
    text = str(caught.value)
    assert text.startswith("qemu-m0, for bbc-microbit: too slow: a step takes at least ")
    assert "cycles, 101 % of the " in text and "--any-part" in text
    assert "of the boards here: " in text and "qemu-m7" in text.split("boards here: ")[1]
    (note,) = fit("qemu-m0", fast, any_part=True).check_time()
    assert "too slow" in note
    # in between, an estimate may be wrong: a note
    for rate in (0.99 * sure, 1.01 * may):
        (note,) = fit("qemu-m0", replace(SMALL, rate_hz=rate)).check_time()
        assert "estimated, ±22 %" in note and "edgeflow profile" in note
    assert fit("qemu-m0", replace(SMALL, rate_hz=0.99 * may)).check_time() == []
    # no rate, or nothing that figures are estimated for
    assert fit("qemu-m0", SMALL).check_time() == []
    assert fit("qemu-a53", replace(SMALL, rate_hz=1e9)).check_time() == []


def test_an_early_exit_may_be_fast_enough_on_average() -> None:
    sure, _ = limit("qemu-m0", SMALL)
    exit_ = Cutoff("cutoff", SMALL.outputs, 100, 1)
    program = replace(SMALL, rate_hz=2 * sure, nodes=(*SMALL.nodes, exit_), window=9)
    (note,) = fit("qemu-m0", program).check_time()
    assert "edgeflow profile" in note


def test_copies_in_a_small_memory_go_back_to_flash() -> None:
    spec: BoardSpec = load_board("qemu-m4").placed(weights="ram")
    checks = Fit(SMALL, spec, choose_kernels(SMALL, spec.core))
    error = checks.explain(NoRoomError("full", (Use("ram", 5 << 20, 4 << 20, 16384),)))
    assert "leave weights and kernels in flash (they are placed in ram and flash)" in str(error)

"""Cycle and energy models: arithmetic, data files, errors."""

from pathlib import Path

import numpy as np
import pytest

from edgeflow.calibration import read_data
from edgeflow.errors import EdgeFlowError, TargetError
from edgeflow.profiling.classes import Op
from edgeflow.profiling.counts import Counts, CountsReader, read_counts
from edgeflow.profiling.models import CycleModel, estimate_cycles, load_cycle_model
from edgeflow.resources import resource
from edgeflow.targets.board import Estimate, list_boards, load_board
from edgeflow.targets.part import Flash, Part, estimated_part, load_part
from tests.conftest import ROOT
from tests.counted import written

MODEL = """
core = "cortex-x"
name = "x"
sources = ["a table"]
taken_branch = 2
[cycles]
alu = 1
load = 2
[cycles.load_multiple]
base = 1
per_register = 1
"""


def counts(row: dict[int, int], taken: int = 0, split: int = 0, fetched: int = 0) -> Counts:
    return Counts(
        np.array(list(row), np.int64),
        np.array([list(row.values())], np.int64),
        np.array([[0]], np.int64),
        np.array([[taken]], np.int64),
        np.array([[split]], np.int64),
        np.array([[fetched]], np.int64),
    )


def test_cycles_of_cortex_m4() -> None:
    model = load_cycle_model("cortex-m4")
    assert model is not None
    row = {
        Op.ALU: 10,
        Op.MAC: 4,
        Op.LOAD: 3,
        Op.LOAD_NEXT: 2,
        Op.LOAD_MULTIPLE + 4: 5,
        Op.BRANCH: 6,
    }
    cycles = estimate_cycles(counts(row, taken=4), model, None)
    assert cycles is not None
    assert cycles.tolist() == [[10 + 4 + 3 * 2 + 2 * 1 + 5 * (1 + 4) + 6 + 4 * 1]]


def test_the_part_adds_wait_states() -> None:
    model, part = load_cycle_model("cortex-m4"), load_part("nucleo-l4r5zi")
    assert model is not None and part.flash is not None
    cycles = estimate_cycles(counts({Op.ALU: 1}, fetched=7), model, part)
    assert cycles is not None
    assert cycles[0, 0] == 1 + 7 * part.flash.wait_states


def test_a_line_takes_as_many_reads_as_it_needs() -> None:
    flash = Flash(
        wait_states=6, read_bytes=16, data_line_bytes=40, data_lines=1, sources=["a table"]
    )
    assert flash.line_cycles == 3 * 6


def test_pairs_of_instructions_share_their_cost(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(MODEL + '[dual_issue]\nrate = 1.25\nfitted = ""\nclasses = ["alu"]\n')
    model = read_data(CycleModel, path)
    assert model.cost(Op.ALU) == 1 / 1.25
    assert model.cost(Op.LOAD) == 2
    path.write_text(path.read_text().replace('["alu"]', '["allu"]'))
    with pytest.raises(TargetError, match=r"dual_issue.classes.allu: .*did you mean 'alu'"):
        read_data(CycleModel, path)


VALIDATION = """
[[validation]]
workload = "w"
unit = "{unit}"
published = {published}
estimated = {estimated}
conditions = "c"
source = "s"
"""


def test_errors_are_of_the_cycles(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(MODEL)
    assert read_data(CycleModel, path).error_percent is None
    slow = VALIDATION.format(unit="CoreMark/MHz", published=3, estimated=2.5)
    fast = VALIDATION.format(unit="cycles/MAC", published=4, estimated=3)
    path.write_text('unvalidated = ["load"]\n' + MODEL + slow + fast)
    model = read_data(CycleModel, path)
    assert [check.error_percent for check in model.validation] == pytest.approx([20, -25])
    assert model.error_percent == pytest.approx(25)
    assert model.error_on(counts({Op.ALU: 95, Op.LOAD: 2})) == pytest.approx(25)
    assert model.error_on(counts({Op.ALU: 95, Op.LOAD: 5})) is None


def test_the_board_changes_its_part() -> None:
    board = load_board("qemu-m4")
    part = estimated_part(board)
    assert part is not None and part.flash is not None and part.data_cache is not None
    taken, cost = counts({Op.ALU: 1}, fetched=7), load_cycle_model("cortex-m4")
    assert cost is not None
    for change, cycles in (
        ({"flash_wait_states": 2}, 1 + 7 * 2),
        ({"flash_wait_states": 0}, 1),
    ):
        estimate = board.estimate.model_copy(update=change) if board.estimate else None
        changed = estimated_part(board.model_copy(update={"estimate": estimate}))
        assert changed is not None
        estimated = estimate_cycles(taken, cost, changed)
        assert estimated is not None and estimated[0, 0] == cycles
        assert (changed.data_cache is None) == (cycles == 1)


def test_a_part_of_another_core_is_refused() -> None:
    board = load_board("qemu-m4")
    other = board.model_copy(update={"estimate": Estimate(part="nucleo-u575zi-q")})
    with pytest.raises(TargetError, match=r"qemu-m4: estimate.part: .*cortex-m33.*cortex-m4"):
        estimated_part(other)


def test_wait_states_need_a_flash() -> None:
    board = load_board("qemu-m55")
    estimate = Estimate(part="mps3-an547", flash_wait_states=3)
    with pytest.raises(TargetError, match=r"flash_wait_states: 'mps3-an547' has no \[flash\]"):
        estimated_part(board.model_copy(update={"estimate": estimate}))


def test_a_class_without_a_cost_is_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(MODEL)
    assert estimate_cycles(counts({Op.MVE: 1}), read_data(CycleModel, path), None) is None


@pytest.mark.parametrize(
    ("core", "absent"),
    [
        ("cortex-m0", "JUMP TABLE_BRANCH LOOP MAC MUL_LONG MAC_LONG DIV SIMD"),
        ("cortex-m3", "JUMP LOOP SIMD"),
        ("cortex-m4", "JUMP"),
        ("cortex-m7", "JUMP"),
        ("cortex-m33", "JUMP"),
        ("cortex-m55", "JUMP"),
        ("rv32imc", "TABLE_BRANCH LOOP MAC MAC_LONG SIMD LOAD_MULTIPLE STORE_MULTIPLE"),
        ("rv32imc_zbb", "TABLE_BRANCH LOOP MAC MAC_LONG SIMD LOAD_MULTIPLE STORE_MULTIPLE"),
    ],
)
def test_models_know_every_class_of_their_cores(core: str, absent: str) -> None:
    model = load_cycle_model(core)
    assert model is not None
    unknown = {op.name for op in Op if model.cost(op + (1 if op >= 64 else 0)) is None}
    floats = {op.name for op in Op if op.name.startswith("FP_")}
    without = set() if core == "cortex-m55" else {"MVE", "MVE_MEMORY", "MVE_NEXT"}
    if core in ("cortex-m0", "cortex-m3", "rv32imc", "rv32imc_zbb"):
        without |= floats
    assert unknown == without | set(absent.split())


def test_cores_without_a_model_have_none() -> None:
    assert load_cycle_model("cortex-a53") is None
    assert load_cycle_model("cortex-a55") is None


def test_emulated_microcontrollers_have_a_part_and_a_model() -> None:
    for board in list_boards():
        if board.emulated and board.soc is not None:
            model = load_cycle_model(board.core.name)
            assert estimated_part(board) is not None
            assert model is not None and model.error_percent is not None


def test_coremark_is_estimated_within_bounds() -> None:
    bounds = {"cortex-m7": 30, "cortex-m55": 30}
    for path in (resource("calibration") / "costs" / "cycles").glob("*.toml"):
        model = read_data(CycleModel, path)
        checks = [check for check in model.validation if check.unit == "CoreMark/MHz"]
        assert checks
        for check in checks:
            error = 100 * abs(check.estimated / check.published - 1)
            assert error <= bounds.get(model.core, 20)


def test_the_documented_errors_are_those_of_the_models() -> None:
    text = (ROOT / "docs" / "profiling.md").read_text(encoding="utf-8")
    for path in (resource("calibration") / "costs" / "cycles").glob("*.toml"):
        model = read_data(CycleModel, path)
        for check in (c for c in model.validation if c.unit != "cycles/step"):
            row = (
                f"| {check.published:.2f} | {check.estimated:.2f} | {check.error_percent:+.0f} % |"
            )
            lines = [line for line in text.splitlines() if f"`{model.name}`" in line]
            assert any(row in line for line in lines), f"{model.name}: {row}"


def test_all_shipped_files_are_valid() -> None:
    cycles = list((resource("calibration") / "costs" / "cycles").glob("*.toml"))
    parts = list((resource("calibration") / "parts").glob("*.toml"))
    assert cycles and parts
    assert [read_data(CycleModel, path).core for path in cycles] == [path.stem for path in cycles]
    assert [read_data(Part, path).name for path in parts] == [path.stem for path in parts]


def test_energy_of_nucleo_l4r5zi_is_the_published_one() -> None:
    part = load_part("nucleo-l4r5zi")
    assert part.energy is not None
    published_uj, cycles_per_mac, macs = 293.9, 3.11, 264_192
    assert cycles_per_mac * macs * part.energy.pj_per_cycle / 1e6 == pytest.approx(
        published_uj, rel=0.005
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("load = 2", "laod = 2", r"cycles.laod: .*did you mean 'load'"),
        ("alu = 1", "alu = -1", r"cycles.alu"),
        ("taken_branch = 2", "", r"taken_branch: Field required"),
        ('sources = ["a table"]', "sources = []", r"sources"),
        ("[cycles]", "[cycles", r"not a TOML file"),
        ("alu = 1", "alu = nan", r"cycles.alu"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(MODEL.replace(old, new))
    with pytest.raises(TargetError, match=message) as caught:
        read_data(CycleModel, path)
    assert str(path) in str(caught.value)


def test_an_unknown_part_names_the_known_ones() -> None:
    with pytest.raises(TargetError, match="nucleo-l4r5zi"):
        load_part("nucleo")


def test_a_cut_off_step_of_counts_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "counts.bin"
    steps = [[({8: 5, 16: 1}, 1, 1, 0), ({8: 1}, 0, 0, 2)], [({8: 6}, 2, 0, 0), ({9: 2}, 0, 0, 0)]]
    path.write_bytes(written([*steps, steps[0]])[:-5])
    read = read_counts(path)
    assert len(read) == 2
    assert read.instructions.tolist() == [7, 8]
    assert read.layers.tolist() == [[6, 1], [6, 2]]
    assert read.taken.tolist() == [[1, 0], [2, 0]]
    assert read.split.tolist() == [[1, 0], [0, 0]]
    assert read.fetched.tolist() == [[0, 2], [0, 0]]


def test_a_step_without_marks_skipped_all_layers(tmp_path: Path) -> None:
    path = tmp_path / "counts.bin"
    whole = [({8: 5}, 1, 0, 0), ({8: 1}, 0, 0, 2), ({8: 2}, 0, 0, 0)]
    path.write_bytes(written([whole, [({8: 4}, 1, 0, 3)]]))
    read = read_counts(path)
    assert read.layers.tolist() == [[5, 1, 2], [0, 0, 4]]
    assert read.taken.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert read.fetched.tolist() == [[0, 2, 0], [0, 0, 3]]
    assert read.skipped.tolist() == [False, True]
    path.write_bytes(written([whole, whole[:2]]))
    with pytest.raises(EdgeFlowError, match="differ in their number of layer marks"):
        read_counts(path)


@pytest.mark.parametrize("damage", [[0], [1, 2, 0, 0, 0], [2**40]])
def test_damaged_counts_name_the_place(tmp_path: Path, damage: list[int]) -> None:
    path = tmp_path / "counts.bin"
    good = written([[({8: 5}, 1, 0, 0)]])
    path.write_bytes(good + np.array(damage, np.uint64).tobytes())
    with pytest.raises(EdgeFlowError, match=f"byte {len(good)}: damaged"):
        read_counts(path)


def test_counts_read_in_pieces_keep_their_mixes(tmp_path: Path) -> None:
    step = [({8: 5}, 1, 0, 0), ({8: 1}, 0, 0, 2)]
    data = written([step, step, step])
    reader = CountsReader("counts.bin")
    taken, at = [], 0
    for end in range(0, len(data) + 12, 12):
        at += reader.feed(data[at:end])
        taken.append(reader.take())
    assert sum(map(len, taken)) == 3
    assert all((one.layers == [5, 1]).all() for one in taken if len(one))


def test_a_branch_to_an_instruction_in_two_words_takes_another_fetch() -> None:
    model = load_cycle_model("rv32imc")
    assert model is not None
    row = {Op.BRANCH: 3, Op.JUMP: 2}
    cycles = estimate_cycles(counts(row, taken=4, split=1), model, None)
    assert cycles is not None
    # a jump takes two cycles, a taken branch three
    assert cycles.tolist() == [[2 * 2 + 2 * 3 + 1 + 1]]


def test_the_rtl_counts_before_published_figures(tmp_path: Path) -> None:
    check = (
        '[[validation]]\nworkload = "w"\nunit = "{}"\npublished = {}\nestimated = {}\n'
        'conditions = ""\nsource = ""\n'
    )
    path = tmp_path / "x.toml"
    path.write_text(MODEL + check.format("CoreMark/MHz", 2.0, 1.0))
    assert read_data(CycleModel, path).error_percent == 100
    path.write_text(path.read_text() + check.format("cycles/step", 100, 98))
    model = read_data(CycleModel, path)
    assert model.error_percent == pytest.approx(2) and len(model.rtl_checks) == 1

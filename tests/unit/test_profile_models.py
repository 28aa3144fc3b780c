"""Cycle and energy models: arithmetic, data files, errors."""

from pathlib import Path

import numpy as np
import pytest

from edgeflow.errors import EdgeFlowError, TargetError
from edgeflow.profile.classes import Op
from edgeflow.profile.models import (
    estimate_cycles,
    load_cycle_model,
    load_part,
    read_model,
    read_part,
)
from edgeflow.profile.trace import Counts, read_counts
from edgeflow.resources import resource

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


def counts(row: dict[int, int], taken: int = 0, fetched: int = 0) -> Counts:
    return Counts(
        np.array(list(row), np.int64),
        np.array([[list(row.values())]], np.int64),
        np.array([[taken]], np.int64),
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
    assert cycles.tolist() == [[10 + 4 + 3 * 2 + 2 * 1 + 5 * (1 + 4) + 6 + 4 * 2]]


def test_the_part_adds_wait_states() -> None:
    model, part = load_cycle_model("cortex-m4"), load_part("nucleo-l4r5zi")
    assert model is not None and part.flash is not None
    cycles = estimate_cycles(counts({Op.ALU: 1}, fetched=7), model, part)
    assert cycles is not None
    assert cycles[0, 0] == 1 + 7 * part.flash.wait_states


def test_a_class_without_a_cost_is_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(MODEL)
    assert estimate_cycles(counts({Op.MVE: 1}), read_model(path), None) is None


def test_the_model_of_cortex_m4_knows_every_class_of_its_code() -> None:
    model = load_cycle_model("cortex-m4")
    assert model is not None
    unknown = {op.name for op in Op if model.cost(op + (1 if op >= 64 else 0)) is None}
    assert unknown == {"MVE"}


def test_cores_without_a_model_have_none() -> None:
    assert load_cycle_model("cortex-m55") is None


def test_all_shipped_files_are_valid() -> None:
    cycles = list((resource("calibration") / "cycles").glob("*.toml"))
    parts = list((resource("calibration") / "parts").glob("*.toml"))
    assert cycles and parts
    assert [read_model(path).core for path in cycles] == [path.stem for path in cycles]
    assert [read_part(path).name for path in parts] == [path.stem for path in parts]


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
        read_model(path)
    assert str(path) in str(caught.value)


def test_an_unknown_part_names_the_known_ones() -> None:
    with pytest.raises(TargetError, match="nucleo-l4r5zi"):
        load_part("nucleo")


def test_a_cut_off_line_of_counts_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "counts.txt"
    path.write_text("S 1,0 8:5 16:1;0,2 8:1\nS 2,0 8:6;0,0 9:2\nS 3,0 8:7;0,")
    read = read_counts(path)
    assert len(read) == 2
    assert read.instructions.tolist() == [7, 8]
    assert read.layers.tolist() == [[6, 1], [6, 2]]
    assert read.taken.tolist() == [[1, 0], [2, 0]]
    assert read.fetched.tolist() == [[0, 2], [0, 0]]


def test_damaged_counts_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "counts.txt"
    path.write_text("S 1,0 8:5\nS x\n")
    with pytest.raises(EdgeFlowError, match="line 2"):
        read_counts(path)

"""Images that a board or its part has no room or no time for, compiled and run.

Tier: boards. It alone would catch a linker whose words are not understood, sizes of a real image
that are not those that are compared, and a command that says nothing, or the wrong exit code.
"""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgeflow as ef
from edgeflow.codegen.build import Build, compile_program
from edgeflow.codegen.step_costs import expected_cycles, load_step_costs
from edgeflow.errors import CheckFailed, EdgeFlowWarning, NoRoomError
from edgeflow.profiling.report import render
from edgeflow.profiling.result import ProfileResult
from edgeflow.program import Program
from edgeflow.targets.board import Region, load_board
from edgeflow.targets.part import load_part
from edgeflow.targets.room import Use
from tests.command import edgeflow
from tests.random_programs import random_program

pytestmark = pytest.mark.board

WINDOW = 5


@pytest.fixture(scope="module")
def program() -> Program:
    """Fewer than 64 kB of weights: with code and stack more than the 64 KB of qemu-rv32's part."""
    return replace(
        random_program(0, 3, [132], 3, 12, 12), classes=("a", "b", "c"), window=WINDOW, rate_hz=10.0
    )


def recordings(path: Path, rate_hz: float) -> Path:
    rng = np.random.default_rng(0)
    np.savez(
        path, x=rng.normal(0, 200, (20, WINDOW, 3)).astype(np.float32), y=np.arange(20) % 3,
        person=np.repeat(list("pqrst"), 4), classes=np.array(["a", "b", "c"]),
        channels=np.array(["x0", "x1", "x2"]), rate_hz=rate_hz,
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def any_part(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("rv32")
    with pytest.warns(EdgeFlowWarning, match="of 65,536 bytes of memory"):
        return ef.compile(program, "qemu-rv32", folder, any_part=True)


@pytest.mark.parametrize("name", ["qemu-m0", "qemu-rv32"])
def test_the_linker_says_what_an_image_needs_of_each_memory(name: str, tmp_path: Path) -> None:
    """The same text of two linkers; the stack counts where it is kept."""
    board, small = load_board(name), random_program(0, 3, [8], 3, 12, 12)
    whole = compile_program(small, board, tmp_path / "whole").size
    for _ in range(4):  # frames of the protocol have a sixteenth of a small RAM
        ram = Region(base=board.memory["ram"].base, size=board.stack + whole.ram_bytes)
        tight = board.model_copy(update={"memory": {**board.memory, "ram": ram}})
        whole = compile_program(small, tight, tmp_path / "whole").size
    memory = {
        "flash": Region(base=board.memory["flash"].base, size=whole.flash_bytes - 16),
        "ram": Region(base=board.memory["ram"].base, size=board.stack + whole.ram_bytes - 16),
    }
    with pytest.raises(NoRoomError) as caught:
        compile_program(small, board.model_copy(update={"memory": memory}), tmp_path / "build")
    flash, ram = caught.value.uses
    # the linker counts gaps and padding, too: up to 256 before a fault handler of RISC-V
    assert 0 <= flash.needed - whole.flash_bytes <= 256 and flash.size == whole.flash_bytes - 16
    assert abs(ram.needed - ram.stack - whole.ram_bytes) <= 32 and ram.stack == board.stack
    text = str(caught.value)
    assert text.startswith(f"{name}: firmware.elf: no room: needs {flash.needed:,} of ")
    assert f" and {ram.needed:,} of {ram.size:,} bytes of ram ({board.stack:,} of them for" in text
    assert "of the boards here: " in text and "\n" not in text
    assert not (tmp_path / "build" / "build.json").exists()


def test_a_stack_that_has_no_room_is_told_in_numbers(tmp_path: Path) -> None:
    """Data alone would fit."""
    board = load_board("qemu-m0").model_copy(update={"stack": 15 << 10})
    with pytest.raises(NoRoomError, match=r"of 16,384 bytes of ram \(15,360 of them") as caught:
        compile_program(random_program(0, 3, [64], 3, 12, 12), board, tmp_path)
    (use,) = caught.value.uses
    assert isinstance(use, Use) and use.needed - use.stack < use.size


def test_an_image_larger_than_the_part_is_refused(program: Program, tmp_path: Path) -> None:
    """Its weights alone fit, code and stack do not; the board itself has a megabyte."""
    with pytest.raises(NoRoomError) as caught:
        ef.compile(program, "qemu-rv32", tmp_path)
    (use,) = caught.value.uses
    assert (use.memory, use.size, use.stack) == ("memory", 65536, 3072)
    text = str(caught.value)
    assert text.startswith(f"qemu-rv32, for ibex-arty-a7: no room: needs {use.needed:,} of 65,536")
    named = text.split("of the boards here: ")[1].split(";")[0].split(", ")
    assert "qemu-m4" in named and "qemu-rv32-zbb" not in named and "qemu-rv32" not in named
    compile_program(program, "qemu-m4", tmp_path / "m4")


def test_compile_refuses_with_one_line_and_compiles_for_any_part(
    program: Program, tmp_path: Path
) -> None:
    program.save(tmp_path / "model.onnx")
    command = ["compile", tmp_path / "model.onnx", "--board", "qemu-rv32", "-o", tmp_path / "b"]
    done = edgeflow(*command)
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: qemu-rv32, for ibex-arty-a7: no room: ")
    done = edgeflow(*command, "--any-part", "--json")
    assert done.returncode == 0
    build = json.loads(done.stdout)
    assert build["any_part"] and "ibex-arty-a7" in build["notes"][0]
    assert "of 65,536 bytes of memory" in done.stderr.replace("\n", " ")
    loaded = Build.load(tmp_path / "b")
    assert loaded.any_part and list(loaded.notes) == build["notes"]


def test_a_profile_flags_what_the_part_cannot_hold(any_part: Build, tmp_path: Path) -> None:
    """Allowed at compile, so no failure: a row, a note, a warning in the report."""
    data = recordings(tmp_path / "d.npz", 10.0)
    done = edgeflow("profile", any_part.directory, "--data", data, "-o", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    rows = {row["what"]: row for row in result["fit"]}
    assert rows.keys() == {"stack", "memory", "time between samples"}
    stack, memory, time = rows["stack"], rows["memory"], rows["time between samples"]
    assert stack["of"] == "qemu-rv32" and stack["fits"] and not stack["fails"]
    assert (stack["used"], stack["room"]) == (result["stack_bytes"], 16384)
    assert memory["used"] == result["flash_bytes"] + result["ram_bytes"]
    assert (memory["room"], memory["fits"], memory["fails"]) == (65536, False, False)
    assert time["of"] == "ibex-arty-a7" and time["fits"] and time["room"] == 1e5
    assert time["used"] == pytest.approx(result["latency_us"]["mean"])
    (note,) = (note for note in result["notes"] if "ibex-arty-a7" in note)
    assert "has too little memory: " in note and "of 65,536 bytes" in note
    assert note in " ".join(done.stderr.split())
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert f"qemu-rv32: {note}." in text and "no: memory 1" in text


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Build, ProfileResult]:
    """A build of a program without a rate, and its profile."""
    folder = tmp_path_factory.mktemp("m4")
    small = replace(random_program(0, 3, [8], 3, 12, 12), classes=("a", "b", "c"), window=WINDOW)
    build = compile_program(small, "qemu-m4", folder)
    result = ef.profile(build, str(recordings(folder / "d.npz", 10.0)), steps=WINDOW)
    assert not result.notes
    return build, result


def test_a_step_takes_no_less_than_the_fewest_cycles(timed: tuple[Build, ProfileResult]) -> None:
    build, result = timed
    part, costs = load_part("nucleo-l4r5zi"), load_step_costs("cortex-m4")
    assert costs is not None and result.cycles_per_step is not None
    fewest, expected = expected_cycles(build.choices, costs, part)
    assert 0.3 * result.cycles_per_step["mean"] < fewest < result.cycles_per_step["mean"]
    assert fewest < expected < result.cycles_per_step["mean"]


@pytest.mark.parametrize(("share", "code"), [(0.9, 0), (1.04, 0), (1.3, 1)])
def test_a_profile_flags_steps_that_take_too_long(
    share: float, code: int, timed: tuple[Build, ProfileResult], tmp_path: Path
) -> None:
    """Over all of the time is flagged, beyond the error of the estimate it fails."""
    build, before = timed
    assert before.latency_us is not None
    rate = share * 1e6 / before.latency_us["mean"]
    data = recordings(tmp_path / "fast.npz", rate)
    done = edgeflow(
        "profile", build.directory, "--data", data, "--steps", str(WINDOW), "-o", tmp_path / "out",
        environment={**os.environ, "COLUMNS": "160"},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert ("(too slow)" in done.stdout) == (share > 1)
    assert "nucleo-l4r5zi" in done.stdout
    said = [
        line for line in done.stderr.splitlines() if "nucleo-l4r5zi is too slow: a step" in line
    ]
    assert len(said) == (share > 1)
    assert [line.startswith("error: ") for line in said] == [bool(code)] * len(said)
    assert ("nucleo-l4r5zi is too slow" in (tmp_path / "out" / "report.html").read_text()) == (
        share > 1
    )


def test_a_full_stack_fails(any_part: Build, tmp_path: Path) -> None:
    data = str(recordings(tmp_path / "d.npz", 10.0))
    with pytest.warns(EdgeFlowWarning, match="too little memory"):
        result = ef.profile(any_part, data, steps=WINDOW, out=tmp_path / "out")
    result.check()
    stack = result.fit[0]
    full = replace(result, fit=[{**stack, "used": stack["room"], "fits": False, "fails": True}])
    with pytest.raises(CheckFailed, match=r"qemu-rv32 has too little stack: 16,384 of 16,384"):
        full.check()
    assert "too little stack" in render(full)

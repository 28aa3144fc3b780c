"""Names out of files, models and boards (tier: unit).

Alone they would catch a name that reaches a terminal, page or C comment with an escape sequence, a
line's end or a turned direction of writing, one that a figure takes for a formula, two of one name,
and a row of a table that is lost as its person is called "#4".
"""

import io
import json
import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import edgeflow as ef
from edgeflow.cells import SequenceClassifier
from edgeflow.cli import console
from edgeflow.codegen.c_text import c_string, plain
from edgeflow.data import from_arrays, load_dataset
from edgeflow.errors import (
    CompressError,
    DataError,
    EdgeFlowError,
    EdgeFlowWarning,
    ProgramError,
    TrainError,
    printable,
)
from edgeflow.profiling import figures
from edgeflow.profiling.report import template
from edgeflow.tasks.task import Heatmap
from tests.random_programs import random_program

#: Colour, title of the window, cursor, direction of writing, end of a line, bell, delete.
ODD = "a\x1b[31mb\x1b]0;t\x07c\rd\u202ee\u2066f\nh\x7fi\u2028j\x9bk\ufeff"
SHOWN = r"a\x1b[31mb\x1b]0;t\x07c\rd\u202ee\u2066f\nh\x7fi\u2028j\x9bk\ufeff"
#: What must not get out, by any way.
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def test_what_is_shown_of_a_name() -> None:
    assert printable(ODD) == SHOWN
    assert printable(ODD, keep="\n") == SHOWN.replace("\\n", "\n")
    for name in ("Gehen", "größer", "歩く", "سلام", "👩\u200d🔧", "a b", r"$\bad$", ""):
        assert printable(name) == name
    assert printable("\ud800") == r"\ud800"


def test_errors_and_warnings_show_names() -> None:
    for kind in (EdgeFlowError, EdgeFlowWarning, DataError):
        assert not RAW.search(str(kind(ODD)))


@pytest.fixture
def screens(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Both consoles as terminals."""
    text = io.StringIO()
    for name in ("out", "err"):
        screen = type(console.out)(
            file=text, force_terminal=True, color_system=None, width=200, markup=False
        )
        monkeypatch.setattr(console, name, screen)
    return text


def test_no_name_reaches_the_terminal_raw(screens: io.StringIO) -> None:
    console.out.print(ODD, soft_wrap=True)
    console.note(ODD, label=ODD)
    console.notes([ODD])
    console.fail(ODD)
    console.table(ODD, [ODD, "number"], [[ODD, 1], [None, ODD]])
    text = screens.getvalue()
    assert text.count(r"\x1b[31m") >= 9
    # rich's own sequences would be here if there were colours
    assert not RAW.search(text.replace("\x1b[1m", "").replace("\x1b[0m", ""))
    assert text.count("error:") == 1


def test_no_name_reaches_a_bar_raw(screens: io.StringIO) -> None:
    with console.progress() as bar:
        bar.add_task(ODD, total=1, status=ODD)
        bar.refresh()
        screen = Console(file=io.StringIO(), width=300, color_system=None)
        screen.print(bar.get_renderable())
        drawn = screen.file.getvalue()
    assert r"\x1b[31m" in drawn and "\x1b[31m" not in drawn and "\u202e" not in drawn


def test_json_keeps_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({ODD: [ODD]})
    text = capsys.readouterr().out
    assert json.loads(text) == {ODD: [ODD]}
    assert not RAW.search(text)


def test_a_page_shows_names() -> None:
    page = template("report.html.j2").environment
    text = page.from_string("{{ a }}|{{ b | safe }}|{{ 3 }}").render(a=f"<b>{ODD}", b="<i>\u2028")
    assert text.startswith("&lt;b&gt;") and text.endswith("|<i>\u2028|3")
    assert not RAW.search(text.partition("|")[0])


NAMES = [r"$\bad$", "$x", "_hidden", "a&b<c>", '"', ODD, "\\", "100 %"]


def test_figures_take_no_name_for_a_formula() -> None:
    size = len(NAMES)
    counts = np.eye(size, dtype=int)
    shown = Heatmap(counts=counts, labels=NAMES, x="decided", y="true", title="Confusion")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = figures.heatmap(shown, "confusion")
    assert not RAW.search(svg)
    assert svg.count(r"$\bad$") >= 2 and svg.count("_hidden") >= 2
    assert "a&amp;b&lt;c&gt;" in svg


def test_runs_are_named() -> None:
    runs = [{"flash": {"weights": size}} for size in (10, 20)]
    svg = figures.memory(runs, ["_one", r"$\bad$"], "flash", "flash")
    assert "_one" in svg and r"$\bad$" in svg


@pytest.mark.parametrize("name", [ODD, "*/ int x; /*", "??/", "a\\", "x\n#define y"])
def test_comments_of_c_stay_comments(name: str) -> None:
    text = plain(name)
    assert "*/" not in text and "/*" not in text and "??" not in text
    assert "\n" not in text and not RAW.search(text)
    literal = c_string(name)
    assert literal.isascii() and literal.isprintable() and "??" not in literal


def arrays(classes: list[str], channels: list[str]) -> object:
    x = np.zeros((4, 10, len(channels)), np.float32)
    return from_arrays(x, np.array([0, 1, 0, 1]), classes=classes, channels=channels)


TWICE = [["a", "a"], ["a", "a "], [" a", "a"]]


@pytest.mark.parametrize("names", TWICE)
class TestTwoOfOneName:
    def test_arrays(self, names: list[str]) -> None:
        with pytest.raises(DataError, match="two classes have the name 'a'"):
            arrays(names, ["x"])
        with pytest.raises(DataError, match="two channels have the name 'a'"):
            arrays(["a", "b"], names)

    def test_npz(self, names: list[str], tmp_path: Path) -> None:
        whole = {
            "x": np.zeros((6, 30, 2), np.float32), "y": np.array([0, 1] * 3), "rate_hz": 10.0,
            "person": np.array(list("ppqqrr")), "classes": np.array(["a", "b"]),
            "channels": np.array(["x", "y"]),
        }  # fmt: skip
        path = tmp_path / "d.npz"
        for key in ("classes", "channels"):
            np.savez(path, **{**whole, key: np.array(names)})
            with pytest.raises(DataError, match=r"the name 'a'|a name more than once"):
                load_dataset(path)

    def test_header(self, names: list[str], tmp_path: Path) -> None:
        path = tmp_path / "d.csv"
        path.write_text(f"person,recording,label,{','.join(names)}\np,r,k,1,2.5\np,r,k,2,3.5\n")
        with pytest.raises(DataError, match="'a' is there 2 times"):
            load_dataset(path)

    def test_compress(self, names: list[str]) -> None:
        import torch

        x = np.random.default_rng(0).standard_normal((8, 10, 2))
        net = torch.nn.GRU(2, 2, batch_first=True)
        for key in ("classes", "channels"):
            with pytest.raises(CompressError, match=f"{key}: 'a' is there more than once"):
                ef.compress(net, x, **{key: names})

    def test_programs(self, names: list[str]) -> None:
        program = random_program(1, 2, [5], 2, 12, 12)
        with pytest.raises(ProgramError, match="two classes have the name 'a'"):
            replace(program, classes=tuple(names))
        with pytest.raises(ProgramError, match="two channels have the name 'a'"):
            replace(program, input=replace(program.input, channels=tuple(names)))

    def test_models(self, names: list[str]) -> None:
        with pytest.raises(TrainError, match="two classes have the name 'a'"):
            SequenceClassifier("gru", names, ["x"], hidden=4)
        with pytest.raises(TrainError, match="two channels have the name 'a'"):
            SequenceClassifier("gru", ["a", "b"], names, hidden=4)


def table(tmp_path: Path, extra: list[str]) -> object:
    rows = [
        f"{person},r{label},{label},{t % 7},{t % 5}.5"
        for person in ("p1", "p2", "p3", "#4", "#5")
        for label in "ab"
        for t in range(30)
    ]
    path = tmp_path / "t.csv"
    head = ["# rate_hz: 10", "# by hand", "person,recording,label,x,y"]
    path.write_text("\n".join([*head, *rows[:60], *extra, *rows[60:]]) + "\n")
    return load_dataset(path)


class TestRowsOfPeopleWithSigns:
    def test_every_row_is_read(self, tmp_path: Path) -> None:
        dataset = table(tmp_path, [])
        assert sum(len(r.x) for r in dataset.recordings) == 300
        assert {r.person for r in dataset.recordings} == {"p1", "p2", "p3", "#4", "#5"}
        assert any("#4, #5" in note for note in dataset.notes)
        assert not any("comments" in note and "left out" in note for note in dataset.notes)

    def test_what_is_left_out_is_counted(self, tmp_path: Path) -> None:
        dataset = table(tmp_path, ["# a pause", "#", "# note: one, two"])
        assert sum(len(r.x) for r in dataset.recordings) == 300
        (note,) = (note for note in dataset.notes if "comments:" in note)
        assert note.startswith("t.csv: 3 lines below the header left out")

    def test_a_row_that_is_cut_short_is_no_comment(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="begins with '#' and has 3 cells, the header 5"):
            table(tmp_path, ["#4,ra,a"])

"""What long commands tell of their progress, and what they score."""

import io
from collections.abc import Sequence

import numpy as np
import pytest
from rich.console import Console

from edgeflow.cli import console
from edgeflow.compression.evaluate import Compressed, compress_model
from edgeflow.data import Dataset
from edgeflow.tasks import Classification
from edgeflow.training import train
from tests.unit.test_train import SMALL, waves

Told = list[tuple[str, int, int]]


@pytest.fixture(scope="module")
def compressed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Compressed, Dataset, Told]:
    folder, data, told = tmp_path_factory.mktemp("model"), waves(), []
    train(data, "gru", out=folder, **SMALL)
    result = compress_model(
        folder,
        data,
        cutoff=50,
        progress=lambda stage, done, total: told.append((stage, done, total)),
    )
    return result, data, told


def stages(told: Sequence[tuple[str, int, int]]) -> list[str]:
    """Return the stages in their order, and check that each only goes on."""
    names = list(dict.fromkeys(stage for stage, _, _ in told))
    assert sorted(told, key=lambda one: (names.index(one[0]), one[1])) == told
    assert all(done <= total for _, done, total in told)
    return names


def test_compression_tells_its_stages(compressed: tuple[Compressed, Dataset, Told]) -> None:
    result, _, told = compressed
    assert stages(told) == [
        "loading the model", "quantizing", "choosing an early exit", "counting updates and spikes",
        "scoring the float model on the test split", "scoring the integers on the test split",
    ]  # fmt: skip
    assert [one for one in told if one[0] == "quantizing"] == [
        ("quantizing", i, 2) for i in range(3)
    ]
    for stage in ("float model", "integers"):
        windows = result.scores["windows"]
        assert told.count((f"scoring the {stage} on the test split", windows, windows)) == 1


def test_scores_by_class_and_subject(compressed: tuple[Compressed, Dataset, Told]) -> None:
    result, data, _ = compressed
    scores, program = result.scores, result.program
    windows = data.windows("test", length=program.window)
    predicted = program.run(program.quantize_input(windows.x))[:, -1].argmax(axis=1)
    of_all = Classification(tuple(data.classes)).scores(windows.y, predicted, windows.person)
    found = of_all["overall"]
    assert scores["accuracy_int"] == found["accuracy"]
    assert scores["macro_f1"]["int"] == found["macro_f1"]
    assert scores["mcc"]["int"] == found["mcc"]
    assert {name: one["int"] for name, one in scores["recall"].items()} == found["recall"]
    assert set(scores["people"]) == set(data.people["test"])
    for name, one in scores["people"].items():
        mine = windows.person == name
        assert one["int"] == pytest.approx((predicted == windows.y)[mine].mean())
        assert one["macro_f1"]["int"] == of_all["subjects"][name]["macro_f1"]
        assert one["windows"] == mine.sum() and 0 <= one["float"] <= 1
    kept = {name: program.metadata[name] for name in ("macro_f1", "mcc", "recall")}
    assert kept == {name: scores[name] for name in kept} and "people" not in program.metadata


def test_the_number_of_windows_at_a_time_changes_no_integer(
    compressed: tuple[Compressed, Dataset, Told],
) -> None:
    result, data, _ = compressed
    program = result.program.without_cutoff()
    x = program.quantize_input(np.tile(data.windows("test", length=program.window).x, (9, 1, 1)))
    parts = [program.run(x[i : i + 128]) for i in range(0, len(x), 128)]
    assert len(parts) > 1 and np.array_equal(np.concatenate(parts), program.run(x))


def drawn(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> tuple[str, list[str]]:
    """Return what a bar of two stages writes, and the stages it shows at the end."""
    file = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=file, force_terminal=terminal, width=100))
    with console.progress() as bar:
        show = console.stages(bar)
        show("loading", 0, 0)
        show("scoring", 1, 3)
        bar.refresh()
        left = [task.description for task in bar.tasks if task.visible]
        show("scoring", 3, 3)
        assert not any(task.visible for task in bar.tasks)
    return file.getvalue(), left


def test_a_bar_shows_one_stage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text, left = drawn(monkeypatch, terminal=True)
    assert left == ["scoring"] and "scoring" in text and "1/3" in text
    assert drawn(monkeypatch, terminal=False)[0] == ""
    assert capsys.readouterr().out == ""

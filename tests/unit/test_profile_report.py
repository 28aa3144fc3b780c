"""The pages: what a report and a comparison show of given results, without a board."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeflow.metrics import confusion
from edgeflow.profiling.compare import read_runs, write_comparison
from edgeflow.profiling.compare import tables as compared
from edgeflow.profiling.report import FEW_SUBJECTS, render, table_rows
from edgeflow.profiling.result import ProfileResult, histogram, summarize
from edgeflow.tasks import Classification
from tests.boards.test_profile_run import Page


def a_result(subjects: int = 2, **changes: Any) -> ProfileResult:
    """Return a run of `subjects` people, each with a right and a wrong window of 'run'."""
    truth = np.array([0, 0] * subjects)
    predicted = np.array([0, 1] * subjects)
    predicted[0:2] = 0
    classes = ["run", "sit", "walk"]
    whose = np.repeat([f"subject {i}" for i in range(subjects)], 2)
    scores = Classification(tuple(classes)).scores(truth, predicted, whose)
    steps = np.arange(100, 110)
    result = ProfileResult(
        edgeflow="0.1.0",
        complete=True,
        board="qemu-m4",
        board_description="a board",
        core="cortex-m4",
        model="0123456789abcdef",
        dataset="mine",
        split="test",
        classes=classes,
        steps=20 * subjects,
        windows=2 * subjects,
        window=10,
        rate_hz=50.0,
        accuracy_float=0.875,
        accuracy_float_windows=2 * subjects,
        accuracy_oracle=scores["overall"]["accuracy"],
        accuracy_device=scores["overall"]["accuracy"],
        mismatches=0,
        confusion=confusion(truth, predicted, 3).tolist(),
        instructions_per_step=summarize(steps),
        cycles_per_step=None,
        latency_us=None,
        energy_uj=None,
        flash_bytes=5000,
        ram_bytes=800,
        stack_bytes=100,
        flash={"weights": 1234, "runtime": 3766},
        ram={"model": 700, "stack": 100},
        layers=[
            {
                "name": "rnn", "type": "GRU", "inputs": 3, "outputs": 16, "bytes": 1100,
                "instructions_mean": 75.0, "cycles_mean": None,
            },
            {
                "name": "head", "type": "Linear", "inputs": 16, "outputs": 3, "bytes": 134,
                "instructions_mean": 25.0, "cycles_mean": None,
            },
            {
                "name": "(rest)", "type": None, "inputs": None, "outputs": None, "bytes": 0,
                "instructions_mean": 0.0, "cycles_mean": None,
            },
        ],
        instruction_mix={"mac": 60.0, "load": 40.0},
        delta={"input_sparsity": None, "state_sparsity": None},
        distributions={"instructions_per_step": histogram(steps)},
        metrics={**scores},
        date="2026-01-02T03:04:05+00:00",
        versions={"edgeflow": "0.1.0", "python": "3.11.2", "compiler": "GCC 12.2.1", "qemu": "7.2.1"},
    )  # fmt: skip
    return dataclasses.replace(result, **changes)


def text_of(page: str) -> str:
    """Return what a page says: its text without tags, spaces as one."""
    body = re.sub(r"<style.*?</style>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_the_head_tells_what_ran() -> None:
    text = text_of(render(a_result()))
    assert "date 2026-01-02 03:04 UTC" in text
    assert "board qemu-m4: a board (cortex-m4)" in text
    assert "model program 0123456789abcdef: GRU → Linear" in text
    assert "data mine, test split of 2 subjects: 4 windows of 10 samples at 50 Hz" in text
    assert "versions EdgeFlow 0.1.0, GCC 12.2.1, QEMU 7.2.1, Python 3.11.2" in text


def test_layers_have_type_shape_bytes_and_instructions() -> None:
    text = text_of(render(a_result()))
    assert "layer type shape weights, bytes instructions per step share" in text
    assert "rnn GRU 3 → 16 1,100 75 75.0 %" in text
    assert "head Linear 16 → 3 134 25 25.0 %" in text
    assert "all 1,234 100" in text and "(rest)" not in text


def test_decisions_by_class_and_subject() -> None:
    page = render(a_result())
    text = text_of(page)
    assert "accuracy before compression 87.50 %" in text
    assert "accuracy on the board 75.00 %" in text
    assert "lowest recall of a class 75.00 % (run)" in text
    assert "lowest accuracy of a subject 50.00 % (subject 1)" in text
    assert "class windows recall run 4 75.0 % sit 0 – walk 0 –" in text
    # the one that is decided worst comes first
    assert "subject 1 2 0.333 50.0 % subject 0 2 1.000 100.0 %" in text
    assert "Accuracy of float model" not in page, "no bars of three equal accuracies"
    rows = {row["name"]: row["cells"] for row in table_rows([a_result().to_json()])}
    # F1 of run 6/7, of sit 0; walk never occurs
    assert rows["macro-F1"] == [f"{3 / 7:.3f}"] and rows["MCC"] == ["0.000"]


def test_many_subjects_are_drawn_and_folded() -> None:
    few, many = (render(a_result(n)) for n in (FEW_SUBJECTS, FEW_SUBJECTS + 1))
    assert "<details>" not in few and "Accuracy of each subject" not in few
    assert f"Table of the {FEW_SUBJECTS + 1} subjects" in many
    assert "Accuracy of each subject" in many


def test_one_subject_is_no_comparison() -> None:
    text = text_of(render(a_result(1)))
    assert "split of 1 subject: 2 windows" in text
    assert "lowest accuracy of a subject" not in text and "Subjects" not in text


def test_a_page_stands_alone_and_is_whole() -> None:
    other = a_result(20, board="<i>other</i>", date=None, versions={}, metrics=None)
    page = render([a_result(), other, a_result(20, board="third")])
    checker = Page()
    checker.feed(page)
    assert checker.loads == [] and len(checker.ids) == len(set(checker.ids))
    assert "<i>other" not in page and "3 runs side by side" in page
    assert "EdgeFlow 0.1.0" in text_of(render(other)), "of a file that has no versions"


def test_a_comparison_has_macro_f1_and_the_lowest(tmp_path: Path) -> None:
    a_result(5).save(tmp_path / "profile.json")
    (run,) = read_runs([tmp_path])
    found = run.to_json()
    assert found["macro_f1"] == pytest.approx(2 * 6 / (10 + 6) / 2)
    assert found["lowest_class"] == {"name": "run", "value": 0.6}
    assert found["lowest_subject"] == {"name": "subject 1", "value": 0.5}
    assert json.loads(json.dumps(found)) == {**found, "front": list(found["front"])}
    (cells,) = compared([run])
    assert cells["macro-F1"] == "0.375" and cells["lowest subject"] == "50.00% (subject 1)"
    write_comparison([run], tmp_path / "page.html")
    assert "60.00% (run)" in (tmp_path / "page.html").read_text()


def test_runs_of_other_rates_or_decisions_are_not_compared(tmp_path: Path) -> None:
    alike = {"accuracy_float_windows": None}
    for name, changes in {
        "a": {"rate_hz": 25.0}, "b": {"rate_hz": 50.0}, "c": {"rate_hz": 50.0, "window": 0},
    }.items():  # fmt: skip
        (tmp_path / name).mkdir()
        a_result(model=name * 16, **alike, **changes).save(tmp_path / name / "profile.json")
    data = [run.data for run in read_runs([tmp_path])]
    assert data == [
        "mine at 25 Hz in windows",
        "mine at 50 Hz in windows",
        "mine at 50 Hz as a stream",
    ]
    assert len({run.group for run in read_runs([tmp_path])}) == 3
    assert [run.data for run in read_runs([tmp_path / "a"])] == ["mine"]


def test_a_comparison_reads_older_files(tmp_path: Path) -> None:
    content = a_result().to_json()
    del content["metrics"]
    (tmp_path / "profile.json").write_text(json.dumps(content))
    scores = {
        "split": "test", "accuracy_float": 0.9, "accuracy_int": 0.8,
        "people": {"a": {"float": 0.9, "int": 0.7}, "b": {"float": 0.9, "int": 0.9}},
    }  # fmt: skip
    record = {
        "format": 1, "hash": "f" * 16, "data": "mine", "scores": scores, "cost": None,
        "command": {"recipe": None}, "size": {"weight_bytes": 10},
    }  # fmt: skip
    (tmp_path / "old.json").write_text(json.dumps(record))
    old, profiled = read_runs([tmp_path / "old.json", tmp_path / "profile.json"])
    before, after = old.to_json(), profiled.to_json()
    assert before["macro_f1"] is None and before["lowest_class"] is None
    assert before["lowest_subject"] == {"name": "a", "value": 0.7}
    assert after["macro_f1"] is None and after["lowest_subject"] is None
    cells = compared([old, profiled])[1]
    assert [cells[n] for n in ("macro-F1", "lowest class", "lowest subject")] == ["", "", ""]

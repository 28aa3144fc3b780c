"""Populations of chips: alone, it would catch results that depend on how they were computed.

Fast tier. Interrupted and whole runs, few and many chips, equal seeds.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeflow.data import Dataset, from_arrays
from edgeflow.data.forecasts import forecasts
from edgeflow.digest import sealed_json
from edgeflow.errors import DataError, ImcError
from edgeflow.imc import ArrayOptions, ImcResult, population, simulate
from edgeflow.imc.options import parse_times, time_text
from edgeflow.imc.result import row_of
from edgeflow.program import Program
from edgeflow.tasks import Classification
from tests.random_programs import random_program


@pytest.fixture(scope="module")
def data() -> Dataset:
    rng = np.random.default_rng(0)
    x = 400 * rng.standard_normal((60, 12, 3)).astype(np.float32)
    person = [f"p{n % 6}" for n in range(60)]
    people = {"train": ["p0", "p1"], "val": ["p2"], "test": ["p3", "p4", "p5"]}
    made = from_arrays(
        x, rng.integers(0, 4, 60), channels=["x0", "x1", "x2"], classes=list("wxyz"), person=person
    )
    return replace(made, people=people)


@pytest.fixture(scope="module")
def program() -> Program:
    made = random_program(0, 3, [9], 4, 12, 12, cells=("gru",))
    return Program(
        made.nodes, made.input, made.output_scale, classes=tuple("wxyz"), window=12, rate_hz=20.0
    )


def run(program: Program, data: Dataset, **more: Any) -> ImcResult:
    return simulate(program, data, **{"chips": 4, "times": [1.0, 86400.0], **more})


def test_chips_do_not_depend_on_each_other(program: Program, data: Dataset) -> None:
    four, two = run(program, data), run(program, data, chips=2)
    for row, other in zip(four.times, two.times, strict=True):
        assert row["values"][:2] == other["values"]
    day = run(program, data, times=[86400.0])
    assert day.times[0] == four.times[1]


def test_equal_seeds_give_equal_files(program: Program, data: Dataset, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run(program, data).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    other = run(program, data, options=ArrayOptions(seed=1))
    assert other.times != ImcResult.load(tmp_path / "a").times
    loaded = ImcResult.load(tmp_path / "a")
    assert loaded.at(86400.0)["mean"] == pytest.approx(np.mean(loaded.times[1]["values"]))
    with pytest.raises(ImcError, match="2 s was not simulated"):
        loaded.at(2.0)


def test_an_interrupted_run_goes_on(
    program: Program, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "partial.json"

    def stop(stage: str, done: int, total: int, /) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(program, data, partial=kept, progress=stop)
    assert len(json.loads(kept.read_text())["chips"]) == 2
    made: list[int] = []
    chip = population._Run.chip
    monkeypatch.setattr(
        population._Run, "chip", lambda self, number: (made.append(number), chip(self, number))[1]
    )
    assert run(program, data, partial=kept) == run(program, data)
    assert made[:2] == [2, 3] and made[2:] == [0, 1, 2, 3]
    # of other arguments, or damaged: nothing is taken
    made.clear()
    run(program, data, partial=kept, options=ArrayOptions(seed=2))
    assert made == [0, 1, 2, 3]
    kept.write_text(sealed_json({"arguments": 3}))
    run(program, data, partial=kept)
    kept.write_text("{")
    run(program, data, partial=kept)


def test_an_ideal_device_scores_as_the_program(program: Program, data: Dataset) -> None:
    found = run(program, data, device="ideal")
    assert [row["overall"] for row in found.times] == [
        {n: v for n, v in found.ideal["overall"].items() if isinstance(v, int | float)}
    ] * 2


def test_data_are_taken_as_the_program_has_them(program: Program, data: Dataset) -> None:
    """Classes in another order, other channels, and recordings that a forecast is made of."""
    order = [2, 0, 3, 1]
    turned = replace(
        data, classes=[data.classes[i] for i in order],
        recordings=[replace(r, label=order.index(r.label)) for r in data.recordings],
    )  # fmt: skip
    assert run(program, turned).times == run(program, data).times
    with pytest.raises(DataError, match="has the channels x1, x0, x2"):
        run(program, replace(data, channels=["x1", "x0", "x2"]))
    series = replace(data, rate_hz=20.0, classes=[])
    task = forecasts(series, [0.1]).task
    ahead = random_program(0, 3, [9], 3, 12, 12, cells=("gru",))
    ahead = Program(
        ahead.nodes, ahead.input, ahead.output_scale, rate_hz=20.0,
        metadata={"task": task.to_json(), "warmup_samples": 2},
    )  # fmt: skip
    assert run(ahead, series).times[0]["mean"] > 0


def test_wrong_arguments(program: Program, data: Dataset, tmp_path: Path) -> None:
    for more, words in (
        ({"chips": 0}, "chips is 0: give a whole number in 1..100000"),
        ({"processes": 2.5}, "processes is 2.5"),
        ({"device": "rram-wan", "times": [3600.0]}, "no data of 3600 s"),
        ({"device": "pmc"}, "did you mean 'pcm'"),
        ({"times": [-1.0]}, "a number of seconds from 0 on"),
    ):
        with pytest.raises(ImcError, match=words) as error:
            run(program, data, **more)
        assert len(str(error.value).splitlines()) == 1
    with pytest.raises(ImcError, match="cannot be read"):
        ImcResult.load(tmp_path / "none.json")


def test_a_device_without_years_has_its_own_times(program: Program, data: Dataset) -> None:
    found = run(program, data, device="rram-wan", times=None)
    assert [row["seconds"] for row in found.times] == [1.0, 86400.0, 172800.0]


def test_the_row_of_a_time() -> None:
    scores = [
        {"overall": {"accuracy": a, "recall": {}}, "subjects": {"p": {"accuracy": a}, "q": {"accuracy": 1 - a}}}
        for a in (0.5, 0.7, 0.9, 0.7)
    ]  # fmt: skip
    row = row_of(3.0, scores, Classification().headline)
    assert row["mean"] == pytest.approx(0.7) and row["sd"] == pytest.approx(
        np.std([0.5, 0.7, 0.9, 0.7], ddof=1)
    )
    assert row["low"] == pytest.approx(np.quantile([0.5, 0.7, 0.9, 0.7], 0.05))
    assert row["worst_subject"] == {"name": "q", "value": pytest.approx(0.3)}
    assert row["overall"] == {"accuracy": pytest.approx(0.7)}
    assert row_of(3.0, scores[:1], Classification().headline)["sd"] is None


@pytest.mark.parametrize(
    "text,seconds",
    [("1s,1h,1d,1y", (1, 3600, 86400, 31536000)), ("2.5m", (150,)), ("10", (10,)), ("1d,1h", (3600, 86400))],
)  # fmt: skip
def test_times(text: str, seconds: tuple[float, ...]) -> None:
    assert parse_times(text) == seconds
    for wrong in ("", "0s", "1x", "-1s", "1s,,2s", "1e400y"):
        with pytest.raises(ImcError, match="--time"):
            parse_times(wrong)
    assert [time_text(s) for s in (0, 1, 90, 3600, 86400, 7 * 86400, 31536000)] == [
        "0 s", "1 s", "90 s", "1 h", "1 d", "1 w", "1 y",
    ]  # fmt: skip

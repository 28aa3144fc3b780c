"""Spaces, rungs and results of a search."""

from pathlib import Path
from typing import Any

import pytest

from edgeflow.errors import CompressError
from edgeflow.search.candidate import Candidate
from edgeflow.search.evaluate import Result, with_share, without_test
from edgeflow.search.rungs import Place, Rung, climbs, front
from edgeflow.search.space import make_space, read_space
from edgeflow.search.store import Store
from edgeflow.search.study import points
from edgeflow.search.workers import parse_workers
from tests.unit.test_train import waves

RUNGS = [{"epochs": 1}]


@pytest.mark.parametrize("kind", ["classes", "values"])
def test_points_of_the_spaces_that_come_along(kind: str) -> None:
    """Fast. Alone catches a default space with a field or a value that no recipe takes."""
    space = read_space(None, kind)
    for point in points(space, 40, 0):
        candidate = Candidate.of(space.tables(point))
        assert candidate.recipe(space.rungs[-1]).trains
        assert ("order" in candidate.options.get("cell_options", {})) == (candidate.cell == "lmu")
    for point in space.start:
        Candidate.of(space.tables(point)).recipe(space.rungs[0])


def test_a_parameter_that_another_one_asks_for() -> None:
    """Fast. Alone catches a conditional parameter that is there, or missing, at the wrong time."""
    space = make_space(
        {
            "model": {"cell": ["gru", "lmu"], "hidden": 8},
            "delta": {"state": {"choices": [0.0, 0.5], "when": {"model.cell": "gru"}}},
            "prune": {"low_rank": {"choices": ["none", "0.5"], "when": {"delta.state": 0.0}}},
            "rungs": RUNGS,
        }
    )
    seen = set()
    for point in points(space, 60, 1):
        seen.add(tuple(sorted(point)))
        tables = space.tables(point)
        assert tables["model"]["hidden"] == 8
        assert tables.get("prune", {}).get("low_rank") in (None, "0.5")
    assert seen == {
        ("model.cell",), ("delta.state", "model.cell"),
        ("delta.state", "model.cell", "prune.low_rank"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model": {"hiden": [8, 16]}}, "there is no model.hiden: use"),
        ({"prune": {"low": 1, "high": 2}}, "prune is no table"),
        ({"model": {"hidden": {"low": 9, "high": 8}}}, "give low < high"),
        ({"model": {"lr": {"low": 0.0, "high": 1.0, "log": True}}}, "above 0 with log"),
        ({"model": {"hidden": [8, 8]}}, "a choice is there twice"),
        ({"model": {"hidden": 8}}, "nothing is searched for"),
        ({"widths": {"weights": {"choices": ["int8"], "when": {"model.cell": "gru"}}}}, "depends on model.cell"),
        ({"model": {"hidden": [8, 16]}, "start": [{"model.hidden": 12}]}, "is not in the space"),
        ({"model": {"hidden": [8, 16]}, "rungs": [{"epochs": 0}]}, "epochs is 0"),
        ({"model": {"hidden": [8, 16]}, "rungs": [{"epoch": 1}]}, "rungs: give"),
        ({"model": {"hidden": [8, 16]}, "rungs": [{"epochs": 1, "subjects": 2}]}, "subjects is 2"),
        ({"train": {"epochs": [1, 2]}}, "there is no train.epochs"),
    ],
)  # fmt: skip
def test_wrong_spaces(content: dict[str, Any], message: str) -> None:
    """Fast. Alone catches a typing error in a space that a night's search would not notice."""
    with pytest.raises(CompressError, match=message):
        make_space({"rungs": RUNGS, **content}, "space.toml")


def test_who_climbs() -> None:
    """Fast. Alone catches a promotion that forgets the error, or the costs."""
    others = [Place(-0.5 - i / 100, 0.01, (1.0,)) for i in range(9)]
    assert climbs(Place(-0.57, 0.01, (1.0,)), others)
    assert not climbs(Place(-0.57, 0.05, (1.0,)), others)  # as likely by chance
    assert climbs(Place(-0.3, 0.01, (0.5,)), others)  # nothing is as cheap
    assert not climbs(Place(-0.3, 0.01, (2.0,)), others)
    assert climbs(Place(0.0, 0.0), [])
    assert front([(1, 2), (2, 1), (2, 2), (1, 2)]) == [0, 1, 3]


def test_a_digest_is_of_all_that_a_result_depends_on() -> None:
    """Fast. Alone catches results of other rungs, seeds or data that are taken for these."""
    candidate = Candidate("gru", {"hidden": 8}, {})
    kinds = [
        (candidate, Rung(1), 0, "a"), (candidate, Rung(2), 0, "a"), (candidate, Rung(1), 1, "a"),
        (candidate, Rung(1), 0, "b"), (Candidate("gru", {"hidden": 9}, {}), Rung(1), 0, "a"),
        (Candidate("gru", {"hidden": 8}, {"widths": {"weights": "int4"}}), Rung(1), 0, "a"),
    ]  # fmt: skip
    names = [one.digest(*rest) for one, *rest in kinds]
    assert len(set(names)) == len(names)
    assert candidate.digest(Rung(1), 0, "a") == names[0]


def test_a_result_counts_once_it_is_whole(tmp_path: Path) -> None:
    """Fast. Alone catches a result that was cut short, or changed, and is taken for whole."""
    store = Store(tmp_path / "results", tmp_path / "work")
    result = Result(0.5, {"a": 0.4, "b": 0.6}, {"flash": 10.0}, files={"model.pt": b"x"})
    assert store.get("d") is None
    (tmp_path / "results" / "d").mkdir(parents=True)
    (tmp_path / "results" / "d" / "model.pt").write_bytes(b"of a write that was killed")
    assert store.get("d") is None
    assert store.put("d", result).files == {}
    found = store.get("d")
    assert found is not None and found.score == 0.5 and found.error == pytest.approx(0.1)
    assert (tmp_path / "results" / "d" / "model.pt").read_bytes() == b"x"
    file = tmp_path / "results" / "d" / "result.json"
    file.write_text(file.read_text().replace("0.5", "0.9"))
    assert store.get("d") is None


def test_candidates_are_given_no_recording_of_a_test_subject() -> None:
    """Fast. Alone catches a search that could choose by test subjects."""
    data = waves()
    seen = without_test(data)
    test = set(data.people["test"])
    assert test and not test & {one.person for one in seen.recordings}
    assert seen.people["test"] == data.people["val"]
    half = with_share(seen, 0.5)
    assert 0 < len(half.people["train"]) < len(seen.people["train"])
    assert half.people["val"] == seen.people["val"]


@pytest.mark.parametrize("text", ["local:0", "slurm:2", "", "local:x", "local:99999"])
def test_wrong_workers(text: str) -> None:
    """Fast. Alone catches a wrong --workers that becomes a traceback."""
    with pytest.raises(CompressError, match="--workers"):
        parse_workers(text)


def test_workers_by_name() -> None:
    assert parse_workers("local") == ("local", "")
    assert parse_workers("local:3") == ("local", "3")
    assert parse_workers("ray://head:10001") == ("ray", "head:10001")
    assert parse_workers("dask://h:8786") == ("dask", "h:8786")

"""`--detect`, `--anomaly` and `--count`: a trained model ends with a layer that validation subjects chose.

Unit tier: alone they would catch a recipe whose layer reads other data than it decides about.
"""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import edgeflow as ef
from edgeflow.data.purpose import for_purpose, for_task
from edgeflow.digest import read_json, sealed_json
from edgeflow.errors import CompressError, DataError
from edgeflow.program import Program
from edgeflow.program.nodes import Count, Detect, Residual
from edgeflow.tasks import Tagging
from edgeflow.tasks.anomaly import Anomaly
from edgeflow.tasks.counting import Counting
from edgeflow.tasks.events import Events
from edgeflow.tasks.phase import Phase
from tests.unit.test_decision_tuning import WORDS, exercise, made, pump, words


def test_the_recipe_has_a_detector(tmp_path: Path) -> None:
    """A model without windows, trained on tags whose first class is none, gets one that counts."""
    made_of = made(WORDS, words, 3)
    tagged = replace(made_of, classes=list(WORDS.classes), target=Tagging(WORDS.classes))
    data = for_purpose(tagged, "events")
    assert data.task == WORDS and for_task(tagged, WORDS).task == WORDS
    trained = ef.train(data, "mingru", out=tmp_path / "run", mode="streaming", hidden=6, epochs=3)
    program = ef.compress(
        trained, tagged, recipe={"decide": {"detect": 20}}, out=tmp_path / "m.onnx"
    )
    found = program.metadata["detect"]
    assert found["val"]["false_alarms_per_hour"] <= 20 and found["val"]["recall"] > 0.5
    assert set(found["people"]) == {"e"} and "latency_ms_p50" in found["test"]
    assert isinstance(Program.load(tmp_path / "m.onnx").nodes[-1], Detect)
    recipe = {"decide": {"detect": 20, "words": "yes"}}
    some = ef.compress(trained, tagged, recipe=recipe, out=tmp_path / "some.onnx")
    task = Program.load(tmp_path / "some.onnx").task
    assert isinstance(task, Events) and task.words == ("yes",) and some.task == task
    heard = for_task(tagged, task)
    assert heard.task == task and set(heard.recordings[0].by_step()) == {0, 1}
    with pytest.raises(CompressError, match="--words yes: it needs --detect"):
        ef.compress(trained, tagged, recipe={"decide": {"words": "yes"}})
    with pytest.raises(DataError, match="--words: 'maybe' is no event's name: choose of yes, no"):
        ef.compress(trained, tagged, recipe={"decide": {"detect": 1, "words": "maybe"}})
    with pytest.raises(CompressError, match="use either --detect or --cutoff"):
        ef.compress(trained, data, recipe={"decide": {"detect": 1}, "cutoff": {"max_drop": 1}})


def test_folds_choose_a_detector_on_those_they_left_out(tmp_path: Path) -> None:
    """Not those whom the model itself has seen, nor test subjects, whom they left out, too."""
    data = made(WORDS, words, 3)
    others = {"train": ["a", "c", "d"], "val": ["b"], "test": ["e"]}
    for name, people in (("own", data.people), ("fold", others)):
        ef.train(
            replace(data, people=people), "mingru", out=tmp_path / name, mode="streaming",
            hidden=6, epochs=3,
        )  # fmt: skip
    recipe: dict[str, Any] = {"decide": {"detect": 20, "folds": [str(tmp_path / "fold")]}}
    program = ef.compress(tmp_path / "own", data, recipe=recipe, out=tmp_path / "m.onnx")
    found = program.metadata["detect"]
    assert found["chosen_by"] == ["b"] and data.people["test"] == ["e"]
    assert found["val"]["false_alarms_per_hour"] <= 20 and found["val"]["recall"] > 0.5

    recipe["decide"]["words"] = "yes"
    some = ef.compress(tmp_path / "own", data, recipe=recipe, out=tmp_path / "some.onnx")
    assert some.metadata["detect"]["chosen_by"] == ["b"]

    def refused(words: str, **decide: object) -> None:
        with pytest.raises((CompressError, DataError), match=words):
            ef.compress(tmp_path / "own", data, recipe={"decide": {"detect": 20} | decide})

    refused("--folds .*nowhere: no folder of a whole 'edgeflow train'", folds=["nowhere"])
    everybody = {"train": ["a", "b", "c", "d"], "val": ["e"], "test": []}
    for people, name, why in (
        (everybody, "all", "left out nobody but test subjects"),
        ({"train": ["a", "b", "e"], "val": ["c"], "test": ["d"]}, "seen", "was trained on e, of"),
    ):
        folder = tmp_path / name
        shutil.copytree(tmp_path / "fold", folder)
        content = read_json(folder / "metrics.json")
        (folder / "metrics.json").write_text(sealed_json({**content, "people": people}))
        refused(why, folds=[str(folder)])
    with pytest.raises(CompressError, match="--folds: they choose a detector: it needs --detect"):
        ef.compress(tmp_path / "own", data, recipe={"decide": {"folds": ["x"]}})


def test_a_forecast_flags_what_it_is_off_by(tmp_path: Path) -> None:
    flagged = made(Anomaly(10.0), pump, 2)
    data = for_purpose(flagged, "forecast", [0.2])
    trained = ef.train(data, "mingru", out=tmp_path / "run", mode="streaming", hidden=4, epochs=1)
    recipe = {"decide": {"anomaly": 10, "learn": 30}}
    program = ef.compress(trained, flagged, recipe=recipe, out=tmp_path / "m.onnx")
    node = program.nodes[-1]
    assert isinstance(node, Residual)
    assert (node.horizon, node.change, node.learn) == (2, 1, 300)
    found = program.metadata["residual"]
    assert found["train_and_val"]["far"] <= 0.1 and set(found["people"]) == {"e"}
    assert "far" in found["test"] and program.task == Anomaly(10.0)
    assert "nrmse_int" in program.metadata


def test_a_phase_is_counted(tmp_path: Path) -> None:
    """Of sets of which only the number of repetitions is known, whatever the rate of the data."""
    data = made(Counting(), exercise, 1)
    trained = ef.train(
        for_purpose(data, "phase"), "mingru", out=tmp_path / "run", mode="streaming", hidden=8,
        epochs=6,
    )  # fmt: skip
    program = ef.compress(
        trained, data, recipe={"decide": {"count": True}}, out=tmp_path / "m.onnx"
    )
    found = program.metadata["count"]
    assert isinstance(program.nodes[-1], Count) and program.task == Counting()
    assert found["val"]["within_one"] == found["test"]["within_one"] == 1
    assert set(found["people"]) == {"e"} and found["people"]["e"]["counts"] == 1
    assert "rmse_int" in program.metadata
    assert for_task(data, Phase()).task == Phase()
    with pytest.raises(CompressError, match="use either --count, --detect or --anomaly"):
        ef.compress(trained, data, recipe={"decide": {"count": True, "detect": 1}})
    with pytest.raises(CompressError, match="counting needs labels"):
        ef.compress(trained, data.recordings[0].x[None], recipe={"decide": {"count": True}})


@pytest.mark.parametrize(
    ("decide", "words"),
    [
        ({"anomaly": 10}, "--anomaly needs --learn"),
        ({"learn": 10}, "--anomaly needs --learn"),
        ({"anomaly": 10, "learn": 10, "detect": 1}, "either --detect or --anomaly"),
        ({"anomaly": 10, "learn": 5000}, "50000 samples to learn from"),
        ({"anomaly": 10, "learn": 30}, "train one, with --task forecast, one --horizon"),
    ],
)
def test_what_cannot_be_flagged_is_refused(
    decide: dict[str, float], words: str, tmp_path: Path
) -> None:
    flagged = made(Anomaly(10.0), pump, 2)
    horizons = [0.1] if decide.get("learn") == 5000 else [0.1, 0.2]
    data = for_purpose(flagged, "forecast", horizons)
    trained = ef.train(data, "mingru", out=tmp_path / "run", mode="streaming", hidden=2, epochs=1)
    with pytest.raises(CompressError, match=words):
        ef.compress(trained, flagged, recipe={"decide": decide})

"""`--detect`: a model trained on tags ends with a detector that validation subjects chose."""

from dataclasses import replace
from pathlib import Path

import pytest

import edgeflow as ef
from edgeflow.data.purpose import for_purpose, for_task
from edgeflow.errors import CompressError
from edgeflow.program import Program
from edgeflow.program.nodes import Detect
from edgeflow.tasks import Tagging
from tests.unit.test_decision_tuning import WORDS, made, words


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
    with pytest.raises(CompressError, match="use either --detect or --cutoff"):
        ef.compress(trained, data, recipe={"decide": {"detect": 1}, "cutoff": {"max_drop": 1}})

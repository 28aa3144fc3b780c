"""Unit tier: what a profile keeps of outputs for its plots.

They alone would catch plots of other values than the board gave, or beside other targets than its.
"""

import dataclasses

import numpy as np
import pytest

from edgeflow.errors import EdgeFlowError
from edgeflow.profiling.curves import MOST, MOST_OUTPUTS, curves_of
from edgeflow.profiling.report import render
from edgeflow.profiling.result import ProfileResult
from edgeflow.program import Program
from edgeflow.tasks import Classification, Forecast, OutputFormat, Regression, Tagging, Task
from tests.random_programs import random_program
from tests.unit.test_profile_report import a_result, text_of


def program_for(task: Task, form: OutputFormat | None = None) -> Program:
    classes = getattr(task, "classes", ())
    program = random_program(0, 3, [4], task.size, 12, 12)
    return dataclasses.replace(
        program, classes=classes, output=form, metadata={"task": task.to_json()}
    )


def test_a_forecast_is_kept_in_real_units() -> None:
    task = Forecast(series=("roll",), units=("deg",), steps=(1, 2), rate_hz=20.0)
    form = OutputFormat((1.0, 2.0), (0.5, 0.25), ("deg", "deg"))
    program = program_for(task, form)
    y = np.arange(2 * (MOST + 5)).reshape(-1, 1, 2)
    truth = np.arange(5.0 * len(y)).reshape(len(y), 5)
    truth[1, 0] = np.nan
    found = curves_of(program, y, truth, stream=True)
    assert found is not None and found["of"] == "steps"
    first, second = found["outputs"]
    assert (first["name"], first["unit"]) == ("roll in 0.05 s", "deg")
    real = form.times(program.output_scale).real(y[:, 0])
    for k, one in enumerate((first, second)):
        assert np.allclose(one["board"], real[:MOST, k], rtol=1e-5)
    assert first["recorded"][:3] == [0.0, None, 10.0]
    assert second["recorded"][:3] == [1.0, 6.0, 11.0]


def test_windows_of_many_values_are_few() -> None:
    task = Regression(names=tuple("abcdef"), units=("m",) * 6)
    found = curves_of(program_for(task), np.ones((7, 3, 6)), np.ones((7, 6)), stream=False)
    assert found is not None and found["of"] == "windows"
    assert [one["name"] for one in found["outputs"]] == list("abcdef")[:MOST_OUTPUTS]
    assert {len(one["board"]) for one in found["outputs"]} == {7}


def test_classes_are_kept_step_by_step_only() -> None:
    windows = Classification(("run", "sit"))
    assert curves_of(program_for(windows), np.ones((4, 2, 2)), np.zeros(4), stream=True) is None
    y = np.array([[3, 1], [1, 3], [0, 9]])[:, None]
    found = curves_of(program_for(Tagging(("run", "sit"))), y, np.array([0, 0, 1]), stream=True)
    assert found == {
        "of": "steps",
        "outputs": [{"name": "class", "unit": "", "board": [0, 1, 1], "recorded": [0, 0, 1]}],
    }


@pytest.mark.parametrize("of", ["steps", "windows"])
def test_the_report_draws_them(of: str, tmp_path) -> None:
    one = {"name": "roll_x", "unit": "deg", "board": [1.0, 2.0, None], "recorded": [1.5, None, 3.0]}
    result = a_result(curves={"of": of, "outputs": [one, {**one, "name": "$\\bad$"}]})
    result.save(tmp_path / "profile.json")
    page = render(ProfileResult.load(tmp_path / "profile.json"))
    assert "Outputs beside what was recorded" in text_of(page)
    assert "roll_x, deg" in page and "$\\bad$" in page
    assert "Outputs beside" not in render(a_result())


@pytest.mark.parametrize(
    "outputs", [[], [{"name": "a", "unit": "", "board": [1.0], "recorded": []}]]
)
def test_a_file_with_other_curves_is_refused(outputs: list, tmp_path) -> None:
    a_result(curves={"of": "steps", "outputs": outputs}).save(tmp_path / "profile.json")
    with pytest.raises(EdgeFlowError, match="curves"):
        ProfileResult.load(tmp_path / "profile.json")

"""The examples in the API's docstrings are true, and those of what it takes."""

import doctest
from pathlib import Path

import pytest

import edgeflow
from edgeflow import api
from edgeflow.recipes import recipe
from tests.recordings import write_recordings

EXAMPLES = [
    test
    for name in api.__all__
    for test in doctest.DocTestFinder().find(getattr(edgeflow, name), f"edgeflow.{name}")
    if test.examples
]
RECIPE = [test for test in doctest.DocTestFinder().find(recipe.Recipe, "Recipe") if test.examples]


def test_each_function_has_an_example() -> None:
    names = {test.name.removeprefix("edgeflow.") for test in EXAMPLES}
    assert names == {"boards", "compile", "compress", "export", "load", "profile", "train"}


@pytest.mark.parametrize("example", [*EXAMPLES, *RECIPE], ids=lambda test: test.name)
def test_example(example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_recordings(tmp_path / "mine.csv")
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    result = runner.run(example, out=said.append)
    assert result.failed == 0 and result.attempted > 1, "".join(said)

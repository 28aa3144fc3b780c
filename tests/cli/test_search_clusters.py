"""Clusters of Ray and Dask: real ones, of several processes on this machine."""

from importlib import import_module
from pathlib import Path

import pytest

from edgeflow.errors import CompressError
from edgeflow.search.workers import open_workers
from tests.cli.test_search import lines
from tests.search_world import World, search


@pytest.mark.parametrize("kind", ["dask", "ray"])
def test_a_cluster_whose_workers_are_killed(kind: str, tmp_path: Path) -> None:
    """Fast. 30 % of the tasks end their worker; alone catches errors of a cluster that are not
    understood as a lost worker, and a candidate that is lost or counted twice.
    """
    pytest.importorskip("distributed" if kind == "dask" else "ray")
    workers = open_workers(f"{kind}:2", World(tmp_path, 0.0, deaths=0.3))
    assert workers.size == 2
    found = search(tmp_path, 3, workers)
    ended = [trial for trial in found if "rungs" in trial.attributes]
    assert len(ended) == 3
    for trial in ended:
        assert trial.state == "complete" or trial.attributes["why"].startswith("lost 3 times")
    assert all(kind == "begun" for kind, _, _ in lines(tmp_path))


@pytest.mark.parametrize("kind", ["dask", "ray"])
def test_a_package_that_is_missing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fast. Alone catches a traceback where an extra is not installed."""
    package = "distributed" if kind == "dask" else "ray"
    monkeypatch.setitem(import_module("sys").modules, package, None)
    name = f"edgeflow.search.workers.{kind}_workers"
    monkeypatch.delitem(import_module("sys").modules, name, raising=False)
    with pytest.raises(CompressError, match=rf"pip install 'edgeflow\[{kind}\]'"):
        open_workers(f"{kind}:2", World())

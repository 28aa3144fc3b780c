"""The inputs of the commands that are killed, starved and raced."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.world import World, environment


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """For commands that need no board."""
    yield from _world(tmp_path_factory.mktemp("world"), build=False)


@pytest.fixture(scope="session")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """For all commands."""
    yield from _world(tmp_path_factory.mktemp("boards"), build=True)


def _world(folder: Path, *, build: bool) -> Iterator[World]:
    made = World.make(folder, environment(folder), build)
    yield made
    made.forks.close()

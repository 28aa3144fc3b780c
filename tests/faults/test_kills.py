"""Commands killed at any moment (faults tier): the next run gives what an unkilled one gives.

It alone would catch a kill that leaves half a result in the place of a whole one, a file that
nobody removes, or a compiler or emulator that runs on.
"""

import random
import time
from pathlib import Path

import pytest

from tests.faults.forks import MARK, offspring
from tests.faults.world import BY_NAME, World, leftovers, results, settle

#: Kills of each command: 234. Those that take longest have fewest.
KILLS = {
    "compile": 34, "compile-board": 18, "export": 34, "export-onnx": 20, "train": 18,
    "train-restart": 14, "compress": 26, "compress-tuned": 12, "compress-search": 4, "profile": 14,
    "compare": 6, "float": 6, "demo": 4, "imc": 10,
    "export-web": 4, "apps": 4, "data-check": 6,
}  # fmt: skip


def kill(world: World, name: str, count: int) -> set[str]:
    """Kill a command at moments of its run; return where that found its result."""
    writer = BY_NAME[name]
    writer.skip()
    place = world.place()
    world.prepare(writer, place)
    older = results(place)
    started = time.monotonic()
    assert world.run(writer.command(place), place)[0] == 0
    took = time.monotonic() - started
    newer = results(place)
    assert leftovers(place) == []
    moments = random.Random(name)
    found = set()
    for number in range(count):
        place = world.place()
        world.prepare(writer, place)
        mark = f"{name}-{number}-{place.name}"
        cache = {"XDG_CACHE_HOME": str(world.runs / f"cache-{mark}")} if number % 3 == 2 else {}
        pid = world.start(writer.command(place), place, **{MARK: mark}, **cache)
        time.sleep(took * (number + moments.random()) / count)
        world.forks.kill(pid)
        code, said = world.forks.wait(pid)
        assert code in (0, -9), said
        assert offspring(mark) == []
        found.add(state(place, older, newer))
        code, said = world.run(writer.command(place), place, **cache)
        assert code == 0, said
        assert results(place) == newer
        assert leftovers(place) == []
    return found


def state(place: Path, older: dict[str, bytes], newer: dict[str, bytes]) -> str:
    """Return which result is there after a kill: the files of the older or the newer one, whole."""
    settle(place)
    now = results(place)
    changed = {name for name in {**older, **newer} if older.get(name) != newer.get(name)}
    files = {name: now.get(name) for name in changed}
    if files == {name: older.get(name) for name in changed}:
        return "old"
    if files == {name: newer.get(name) for name in changed}:
        return "new"
    # what a training goes on with, and the parts of a search, come one by one
    stays = {name: text for name, text in older.items() if name in now or "resume.pt" not in name}
    assert all(now.get(n) in (text, newer.get(n)) for n, text in stays.items()), "a result is lost"
    return "between"


def test_killed_commands_end_the_same_when_run_again(world: World) -> None:
    """A few kills of commands that need no board; the slow test has all."""
    for name in ("export", "compile"):
        assert kill(world, name, 3) <= {"old", "new"}


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize("name", KILLS)
def test_two_hundred_kills(boards: World, name: str) -> None:
    found = kill(boards, name, KILLS[name])
    if name in ("compile", "compile-board", "export", "export-onnx", "compare"):
        assert found <= {"old", "new"}

"""Commands at the same time in one folder and one cache (faults tier): right, or refused.

It alone would catch two writers whose files mix, and a compiler that stumbles over another's.
"""

import re

import pytest

from tests.faults.world import BY_NAME, World, leftovers, results

REFUSED = re.compile(r"error: .*: another edgeflow( \(pid \d+\))? is writing it: wait for it\n")


def race(world: World, name: str, count: int) -> tuple[int, int]:
    """Run a command several times at once; return how many were right, and refused."""
    writer = BY_NAME[name]
    place = world.place()
    world.prepare(writer, place)
    assert world.run(writer.command(place), place)[0] == 0
    expected = results(place)
    place = world.place()
    world.prepare(writer, place)
    cache = str(world.runs / f"cache-{name}-{place.name}")  # cold
    command = writer.command(place)
    pids = [world.start(command, place, XDG_CACHE_HOME=cache) for _ in range(count)]
    right = refused = 0
    for pid in pids:
        code, said = world.forks.wait(pid)
        if code == 0:
            right += 1
        else:
            refused += 1
            assert code == 2 and REFUSED.search(said), said
            assert said.count("error: ") == 1 and "Traceback" not in said
    assert results(place) == expected
    assert leftovers(place) == []
    return right, refused


def test_in_one_folder(world: World) -> None:
    """Three at once; the slow test has up to sixteen."""
    right, refused = race(world, "compile", 3)
    assert right >= 1 and right + refused == 3


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize("count", [2, 4, 8, 16])
@pytest.mark.parametrize("name", ["compile", "export", "train", "compress", "profile"])
def test_up_to_sixteen_in_one_folder(boards: World, name: str, count: int) -> None:
    assert race(boards, name, count)[0] >= 1


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize("count", [2, 8, 16])
def test_one_cache_for_many_folders(boards: World, count: int) -> None:
    writer = BY_NAME["compile-board"]
    places = [boards.place() for _ in range(count)]
    cache = str(boards.runs / f"cache-many-{count}")
    pids = [boards.start(writer.command(p), p, XDG_CACHE_HOME=cache) for p in places]
    for pid in pids:
        code, said = boards.forks.wait(pid)
        assert code == 0, said
    first = results(places[0])
    assert all(results(place) == first for place in places[1:])
    assert sum(map(len, map(leftovers, places))) == 0

"""Commands on a full disk (faults tier): one line, exit code 2, and the older result as it was.

It alone would catch an export of which half is written, a traceback of a library that tells of a
full disk in words of its own, and what is left of files that did not fit. The disk is a file system
in memory, with as much free as a share of what the command needs.
"""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.world import BY_NAME, WRITERS, World, leftovers, results

#: Points of filling.
POINTS = 20
_COLLECTED = re.compile(r"resume\.pt|\.partial\.(json|html)$")
#: Commands that go on with the parts that are done.
STEPWISE = ("compress-search", "demo", "apps")
_SIZE = 256 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own; skips where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "none", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system that can be full takes the right to mount one")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def free(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


class Watch:
    """The least that was free on a file system while a block ran."""

    def __init__(self, place: Path) -> None:
        self.least, self._place, self._over = free(place), place, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.wait(0.0005):
            self.least = min(self.least, free(self._place))

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def starve(world: World, name: str, disk: Path, points: int) -> int:
    """Run a command with less and less free; return how often it had too little."""
    writer = BY_NAME[name]
    writer.skip()
    place = disk / "run"
    place.mkdir()
    world.prepare(writer, place)
    older, before = results(place), free(disk)
    with Watch(disk) as watch:
        code, said = world.run(writer.command(place), place)
    assert code == 0, said
    newer = results(place)
    changed = sum(len(text) for name, text in newer.items() if older.get(name) != text)
    needed = max(before - watch.least, changed)  # what is there for microseconds is not seen
    failed = 0
    for number in range(points):
        shutil.rmtree(place)
        place.mkdir()
        world.prepare(writer, place)
        (place / "tmp").mkdir(exist_ok=True)
        older = results(place)
        with (disk / "filler").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(free(disk) - needed * number // points, 1))
        code, said = world.run(writer.command(place), place)
        (disk / "filler").unlink()
        now = results(place)
        if code == 0:  # what was needed for a moment was there
            assert now == newer
            continue
        failed += 1
        where = f"{name} with {number}/{points} of {needed} bytes"
        assert code == 2, f"{where}: {said}"
        assert "Traceback" not in said, f"{where}: {said}"
        errors = re.findall(r"^error: .*$", said, re.M)
        assert len(errors) == 1 and said.endswith(f"{errors[0]}\n"), f"{where}: {said}"
        assert "No space left on device" in errors[0], f"{where}: {said}"
        # a training keeps the epochs that are done, a profile its windows
        kept = {n: text for n, text in now.items() if n in older or not _COLLECTED.search(n)}
        if name not in STEPWISE:
            assert kept == older, f"{where}: {said}"
        assert {n: now.get(n) for n in older} == older, f"{where}: {said}"
        assert leftovers(place) == [], where
        code, said = world.run(writer.command(place), place)
        assert code == 0 and results(place) == newer, f"{where}: {said}"
    return failed


def test_a_full_disk_changes_nothing(world: World, disk: Path) -> None:
    """A few points of commands that need no board; the slow test has all."""
    assert starve(world, "export", disk, 3) >= 2


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize("name", [writer.name for writer in WRITERS])
def test_every_command_on_a_full_disk(boards: World, disk: Path, name: str) -> None:
    assert starve(boards, name, disk, POINTS) >= POINTS // 2

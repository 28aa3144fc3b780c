"""Damage of every file that is kept in the user's cache: mended by itself, or by the command named.

Unit tier; the plugin and the objects, which need a compiler, are in tests/boards. Each damage is a
cut, an empty file, a flipped bit, a folder in the file's place, a file that may not be read. It alone
would catch a kept file that is used as it is found, and advice that changes nothing.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeflow.data import load_dataset, registry
from edgeflow.data.arrays import cached, read_npz
from edgeflow.data.parsed_cache import kept_table
from edgeflow.data.sets import seglearn_watch, wisdm_watch
from edgeflow.data.source import Source, cache_folder
from edgeflow.data.table import Table
from edgeflow.digest import is_whole
from edgeflow.errors import DataError
from edgeflow.targets.objects import fetch, store
from tests.damages import DAMAGES

damaged = pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of a user who is not root, whom no mode keeps out."""
    folder = Path(tempfile.mkdtemp(prefix="edgeflow-cache-", dir="/tmp"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.delenv("EDGEFLOW_DATA", raising=False)
    root = os.geteuid() == 0
    # what is imported late is imported while its files may be read
    np.savez(folder / "late.npz", x=np.random.default_rng(1).random(3))
    read_npz(folder / "late.npz")
    (folder / "late.npz").unlink()
    if root:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    shutil.rmtree(folder)


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.rglob(pattern)
    return found


@damaged
def test_parsed_recordings(damage: Callable[[Path], None], cache: Path) -> None:
    source, calls = cache / "a.csv", []
    source.touch()

    def parse() -> dict[str, np.ndarray]:
        calls.append(1)
        return {"x": np.arange(500)}

    for _ in range(2):
        cached(cache / "kept", [source], parse)
    assert len(calls) == 1
    kept = only(cache, "*.npz")
    damage(kept)
    assert np.array_equal(cached(cache / "kept", [source], parse)["x"], np.arange(500))
    assert len(calls) == 2 and is_whole(kept)
    cached(cache / "kept", [source], parse)
    assert len(calls) == 2


@damaged
def test_parsed_tables(damage: Callable[[Path], None], cache: Path) -> None:
    calls = []

    def parse() -> Table:
        calls.append(1)
        codes = np.arange(30, dtype=np.int32) % 2
        lines, numbers = np.arange(30), np.random.default_rng(1).random((30, 2))
        return Table(lines, {"person": (["a", "b"], codes)}, numbers, {"rate_hz": (1, "5")}, ("n",))

    good = kept_table("k", parse)
    damage(only(cache, "*.npz"))
    found = kept_table("k", parse)
    assert np.array_equal(found.numbers, good.numbers) and len(calls) == 2
    assert is_whole(only(cache, "*.npz"))
    kept_table("k", parse)
    assert len(calls) == 2


@damaged
def test_objects(damage: Callable[[Path], None], cache: Path) -> None:
    made, target = cache / "made.o", cache / "target.o"
    made.write_bytes(b"\x7fELF" + bytes(range(200)))
    store("key", made)
    kept = only(cache, "key.o")
    assert fetch("key", target) and target.read_bytes() == made.read_bytes()
    damage(kept)
    assert not fetch("key", target)
    store("key", made)
    assert fetch("key", target) and target.read_bytes() == made.read_bytes()


def test_an_object_of_a_version_without_digests_is_made_again(cache: Path) -> None:
    kept = cache / "edgeflow" / "objects" / "key.o"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"\x7fELF")
    assert not fetch("key", cache / "target.o")


def test_a_cache_that_may_not_be_used_stops_nothing(cache: Path) -> None:
    source = cache / "a.csv"
    source.touch()
    (cache / "kept").mkdir(mode=0)
    assert cached(cache / "kept", [source], lambda: {"x": np.arange(3)})["x"].tolist() == [0, 1, 2]
    (cache / "kept").chmod(0o700)


@pytest.fixture
def small(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """seglearn-watch of four people, and a download that writes the published file."""
    people = [str(n) for n in range(1, 11)]
    table = {
        "X": np.empty(10, object),
        "y": np.arange(10) % 7,
        "subject": np.array([int(p) for p in people]),
    }
    for i in range(10):
        table["X"][i] = np.full((120, 6), float(i))
    np.save(cache / "published.npy", np.array(table, dtype=object), allow_pickle=True)
    content = (cache / "published.npy").read_bytes()
    monkeypatch.setattr(seglearn_watch, "MEMBER_SHA256", hashlib.sha256(content).hexdigest())

    def download(folder: Path) -> None:
        (folder / "watch_dataset.npy").write_bytes(content)

    source = replace(seglearn_watch.SOURCES[0], fetch=download, installed=lambda: None)
    monkeypatch.setattr(registry, "sources", lambda: {source.name: source})
    return source


@damaged
def test_a_small_data_set_is_downloaded_again(
    damage: Callable[[Path], None], cache: Path, small: Source
) -> None:
    good = load_dataset(small.name)
    damage(only(cache, "watch_dataset.npy"))
    again = load_dataset(small.name)
    assert all(np.array_equal(a.x, b.x)
               for a, b in zip(good.recordings, again.recordings, strict=True))  # fmt: skip


@damaged
def test_data_get_downloads_what_is_damaged_again(
    damage: Callable[[Path], None], cache: Path, small: Source
) -> None:
    path = small.get()
    before = path.stat().st_ino
    assert small.get() == path and path.stat().st_ino == before
    damage(path)
    assert small.get() == path and not small.damaged(path)


def test_data_elsewhere_are_left_alone(
    cache: Path, small: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEFLOW_DATA", str(cache / "mine"))
    (cache / "mine").mkdir()
    (cache / "mine" / "watch_dataset.npy").write_bytes(b"other")
    with pytest.raises(DataError, match="not as it was published .*copy it again"):
        small.get()
    assert (cache / "mine" / "watch_dataset.npy").read_bytes() == b"other"


@pytest.fixture
def texts(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a download of WISDM: two people."""
    place = cache_folder() / "wisdm-watch"
    sums = {}
    for person in (1602, 1631):
        for sensor in ("accel", "gyro"):
            path = place / f"raw/watch/{sensor}/data_{person}_{sensor}_watch.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = [f"{person},F,{t * 50_000_000},0.5,{t}.0,9.81;" for t in range(60)]
            path.write_text("\n".join(lines) + "\n")
            sums[str(path.relative_to(place))] = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(wisdm_watch, "checksums", lambda: sums)
    return place


@damaged
def test_a_damaged_file_of_a_large_set_names_the_command_that_mends_it(
    damage: Callable[[Path], None], texts: Path
) -> None:
    """A digit that became another one still parses: only the checksum tells."""
    source = wisdm_watch.SOURCES[0]
    path = texts / "raw/watch/gyro/data_1631_gyro_watch.txt"
    damage(path)
    with pytest.raises(DataError, match=r"data_1631_gyro_watch\.txt: .*"
                                        r"run 'edgeflow data get wisdm-watch'"):  # fmt: skip
        source.read(texts)
    fetched = []
    with pytest.raises(DataError, match="incomplete"):  # this download brings nothing
        replace(source, fetch=fetched.append).get()
    # into a folder beside, that takes the place of the damaged one when it is whole
    assert [folder.parent for folder in fetched] == [texts.parent] and texts.is_dir()


def test_a_missing_file_is_no_smaller_data_set(texts: Path) -> None:
    assert len(wisdm_watch.SOURCES[0].read(texts)) == 2
    (texts / "raw/watch/accel/data_1602_accel_watch.txt").unlink()
    with pytest.raises(DataError, match="no such file: run 'edgeflow data get wisdm-watch'"):
        wisdm_watch.SOURCES[0].read(texts)

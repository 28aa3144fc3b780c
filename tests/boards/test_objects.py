"""The cache of objects: the same object for the same content, another one for anything else.

An object that is taken for another one shows nowhere else: parity then compares the code of before.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeflow.digest import seal
from edgeflow.targets import objects
from edgeflow.targets.core import load_core
from edgeflow.targets.objects import fetch, object_key, store
from edgeflow.targets.toolchain import compile_sources

FLAGS = ["-O2", "-DN=1"]
FILES = {
    "src/main.c": '#include "near.h"\n#include "far.h"\nint f(void);\nint f(void) { return A + B + N; }\n',
    "src/near.h": "#define A 1\n",
    "lib/far.h": '# include "deep.h"\n',
    "lib/deep.h": "#define B 2\n",
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of objects of an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgeflow" / "objects"


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Write `FILES`, some of them changed, into a new folder."""
    count = 0

    def write(**changed: str) -> Path:
        nonlocal count
        count += 1
        root = tmp_path / f"tree{count}"
        for name, text in FILES.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(changed.get(Path(name).stem, text))
        return root

    return write


@pytest.fixture
def compiler(tmp_path: Path) -> Path:
    """A compiler that only says that it has no C library."""
    path = tmp_path / "cc"
    path.write_text("#!/bin/sh\necho libc.a\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def key(root: Path, compiler: Path, flags: list[str] | None = None) -> str:
    objects._identity.cache_clear()
    flags = FLAGS if flags is None else flags
    return object_key(str(compiler), flags, root / "src" / "main.c", [root / "lib"])


def compiled(root: Path, target: Path, n: int = 1) -> bytes:
    """Return the bytes of an object by the host's compiler."""
    made = compile_sources(
        load_core("host"), [root / "src/main.c"], target,
        include_dirs=[root / "lib"], defines={"N": str(n)},
    )  # fmt: skip
    return made[0].read_bytes()


def test_the_same_content_elsewhere_is_the_same(tree: Callable[..., Path], compiler: Path) -> None:
    assert key(tree(), compiler) == key(tree(), compiler)


@pytest.mark.parametrize(
    "changed",
    [
        {"main": FILES["src/main.c"].replace("A + B", "A - B")},
        {"near": "#define A 3\n"},
        {"far": '#include "deep.h"\n#undef B\n#define B 3\n'},
        {"deep": "#define B 3\n"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_text_is_another_object(
    tree: Callable[..., Path], compiler: Path, changed: dict[str, str]
) -> None:
    """Of the source, of what it includes, and of what that includes."""
    assert key(tree(), compiler) != key(tree(**changed), compiler)


@pytest.mark.parametrize("flags", [["-O3", "-DN=1"], ["-O2", "-DN=2"], ["-O2"], ["-DN=1", "-O2"]])
def test_other_flags_are_another_object(
    tree: Callable[..., Path], compiler: Path, flags: list[str]
) -> None:
    root = tree()
    assert key(root, compiler) != key(root, compiler, flags)


def test_another_compiler_is_another_object(
    tree: Callable[..., Path], compiler: Path, tmp_path: Path
) -> None:
    """Of another place, or replaced by another version in the same place."""
    root = tree()
    first = key(root, compiler)
    other = tmp_path / "cc2"
    other.write_bytes(compiler.read_bytes())
    other.chmod(0o755)
    assert key(root, other) != first
    os.utime(compiler, (1, 1))
    assert key(root, compiler) != first


def test_a_header_that_hides_another_is_noticed(tree: Callable[..., Path], compiler: Path) -> None:
    """The folder of the file that includes comes before the others."""
    root, hidden = tree(), tree()
    (hidden / "src" / "far.h").write_text("#define B 3\n")
    assert key(root, compiler) != key(hidden, compiler)


def test_objects_are_those_of_what_is_compiled(tree: Callable[..., Path], tmp_path: Path) -> None:
    """Through the compiler: none of another define, nor of a header as it was before."""
    root = tree()
    first = compiled(root, tmp_path / "first")
    assert compiled(tree(), tmp_path / "again") == first
    other = compiled(root, tmp_path / "define", n=2)
    (root / "lib" / "deep.h").write_text("#define B 200\n")
    assert len({first, other, compiled(root, tmp_path / "header")}) == 3


def test_a_second_build_takes_what_is_kept(
    tree: Callable[..., Path], tmp_path: Path, cache: Path
) -> None:
    compiled(tree(), tmp_path / "first")
    (kept,) = cache.glob("*.o")
    kept.write_bytes(b"kept")
    seal(kept)
    assert compiled(tree(), tmp_path / "second") == b"kept"


def test_without_a_cache_it_compiles(
    tree: Callable[..., Path], tmp_path: Path, cache: Path
) -> None:
    expected = compiled(tree(), tmp_path / "with")
    objects._drop_old.cache_clear()
    cache.parent.parent.rename(tmp_path / "away")
    cache.parent.parent.write_text("a file where the cache should be")
    assert compiled(tree(), tmp_path / "without") == expected


def test_the_oldest_half_goes(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was used lately stays, however long ago it was made."""
    monkeypatch.setattr(objects, "MOST_OBJECTS", 5)
    made = tmp_path / "made.o"
    made.write_bytes(b"object")
    for number in range(6):
        store(str(number), made)
        os.utime(cache / f"{number}.o", (1000 + number, 1000 + number))
    assert fetch("0", tmp_path / "used.o")
    objects._drop_old.cache_clear()
    store("6", made)
    assert sorted(path.stem for path in cache.iterdir()) == ["0", "4", "5", "6"]
    assert not fetch("1", tmp_path / "none.o") and not (tmp_path / "none.o").exists()

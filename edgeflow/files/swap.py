"""Many files replaced as one: a list of what to do comes first, so that a kill leaves no mixture.

While the list is in the folder, whoever opens it next finishes what it says.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from edgeflow.errors import OutputError
from edgeflow.files.atomic import (
    atomic_path,
    drop_folders,
    inherit,
    make_folder,
    write_atomic,
)
from edgeflow.files.leftovers import remove

#: Name of the list, below the hidden folder.
LIST = "swap.json"
#: Name of the list of what was made, there and beside the new files.
MADE = "made.json"


def files_below(folder: Path) -> list[str]:
    """Return the files in a folder and those below it, as sorted relative names with slashes."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def is_inside(name: object) -> bool:
    """Tell whether a value is a relative name that stays in its folder."""
    if not isinstance(name, str) or "\0" in name:
        return False
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def swap(folder: Path, hidden: Path, new: Path, gone: Collection[str], mark: Path) -> None:
    """Put the files of `new` into a folder and remove others: all of it, or nothing.

    Parameters
    ----------
    folder : Path
    hidden : Path
        The folder of the list, on the same file system.
    new : Path
        In a folder of its own below `hidden`; is emptied.
    gone : collection of str
        Files that go, by relative name.
    mark : Path
        Beside `new`: becomes ``made.json`` of `hidden`.
    """
    _through_links(folder, new)
    names = files_below(new)
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            inherit((folder / name).stat(), new / name)
    old = new.with_name("old")
    made: list[Path] = []
    moved: list[tuple[Path, Path]] = []
    try:
        # all folders first: what follows needs no space
        for name in [*names, *gone]:
            (old / name).parent.mkdir(parents=True, exist_ok=True)
        for name in names:
            made += make_folder((folder / name).parent)
        content = {"base": new.parent.name, "names": names, "gone": sorted(gone)}
        write_atomic(hidden / LIST, json.dumps(content))
        for name in [*gone, *names]:
            if os.path.lexists(folder / name):
                _move(folder / name, old / name, moved)
            if name in names:
                _move(new / name, folder / name, moved)
        _move(mark, hidden / MADE, moved)
    except BaseException:
        for source, target in reversed(moved):
            target.replace(source)  # if this fails, too, the list stays, and is finished later
        (hidden / LIST).unlink(missing_ok=True)
        drop_folders(made)
        raise
    _end(folder, hidden, gone, new.parent)


def finish(folder: Path, hidden: Path) -> None:
    """Finish a swap whose process was killed, if there is one.

    Raises
    ------
    OutputError
        If its list is damaged.
    """
    try:
        content = json.loads((hidden / LIST).read_text(encoding="utf-8"))
        names, gone, base = content["names"], content["gone"], content["base"]
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        names, gone, base = [None], [], ""
    if not all(map(is_inside, [*names, *gone, base])) or "/" in base:
        raise OutputError(f"{hidden / LIST}: damaged: choose a new or empty folder")
    new = hidden / base / "new"
    for name in names:
        if os.path.lexists(new / name):
            make_folder((folder / name).parent)
            (new / name).replace(folder / name)
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    mark = next(iter((hidden / base).glob(MADE)), None)
    if mark is not None:
        mark.replace(hidden / MADE)
    _end(folder, hidden, gone, hidden / base)


def _through_links(folder: Path, new: Path) -> None:
    """Write files whose places are links to where these lead."""
    for name in files_below(new):
        if (folder / name).is_symlink():
            with atomic_path(folder / name) as target:
                shutil.copyfile(new / name, target)
            (new / name).unlink()


def _move(source: Path, target: Path, moved: list[tuple[Path, Path]]) -> None:
    source.replace(target)
    moved.append((source, target))


def _end(folder: Path, hidden: Path, gone: Collection[str], base: Path) -> None:
    (hidden / LIST).unlink(missing_ok=True)
    for path in base.iterdir():
        remove(path)
    for above in sorted(_folders(gone), key=lambda path: len(path.parts), reverse=True):
        with contextlib.suppress(OSError):
            (folder / above).rmdir()


def _folders(names: Collection[str]) -> set[PurePosixPath]:
    """Return all folders on the way to files."""
    return {above for name in names for above in PurePosixPath(name).parents if above.parts}

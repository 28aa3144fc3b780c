"""Folders of results: new, empty or marked as ours; written beside, then swapped in whole.

The mark is the hidden folder ``.edgeflow``. Its ``made.json`` lists the files that each command
made; nothing else in the folder is ever replaced or removed.
"""

import contextlib
import json
import os
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from edgeflow.errors import EdgeFlowError, OutputError
from edgeflow.files.atomic import drop_folders, make_folder, synced, write_atomic
from edgeflow.files.inputs import check_outputs
from edgeflow.files.leftovers import is_unfinished, remove, sweep, unfinished
from edgeflow.files.lock import held
from edgeflow.files.swap import LIST, MADE, files_below, finish, is_inside, swap

#: The hidden folder that marks a folder as ours.
MARK = ".edgeflow"
#: Seconds that a reader waits for a writer who is swapping.
_WAIT = 10.0


@dataclass(frozen=True)
class FolderKind:
    """What makes a kind of folder.

    Parameters
    ----------
    name : str
        The command: "compile".
    beside : tuple of str
        Commands that write into folders of this kind, too.
    earlier : callable, optional
        Returns by command the files that a version without marks made in a folder; an
        empty mapping if the folder is not of it.
    passing : tuple of str
        Folders in it whose files are of use to EdgeFlow alone, and need not outlive a power cut.
    """

    name: str
    beside: tuple[str, ...] = ()
    earlier: Callable[[Path], Mapping[str, Collection[str]]] = lambda folder: {}
    passing: tuple[str, ...] = ()

    def check(
        self, path: str | Path, inputs: Mapping[str, object] = MappingProxyType({})
    ) -> dict[str, list[str]]:
        """Return the files that commands made in a folder, by command.

        Parameters
        ----------
        path : str or Path
        inputs : mapping
            What is read, as of `check_outputs`.

        Raises
        ------
        OutputError
            If the folder is neither new, nor empty, nor of this kind, or files in it are inputs.
        """
        path = Path(path)
        made = self._made(path)
        if inputs:
            check_outputs((path / name for name in made.get(self.name, ())), inputs)
        return made

    def _made(self, path: Path) -> dict[str, list[str]]:
        try:  # asked once: other writers make and remove it
            there = stat.S_ISDIR(path.stat().st_mode)
        except FileNotFoundError:
            if not path.is_symlink():
                return {}
            there = False
        if not there:
            raise OutputError(f"{path}: a file is in the way of the folder: choose another place")
        made = _read_mark(path / MARK / MADE)
        inside = [] if made is not None else _foreign(path)
        # another writer marks the folder before it writes: what is inside may be marked by now
        made = _read_mark(path / MARK / MADE) if inside else made
        if made is not None:
            if not made.keys() & {self.name, *self.beside}:
                other = " and ".join(f"'edgeflow {name}'" for name in made)
                raise OutputError(
                    f"{path}: holds files of {other}, not of 'edgeflow {self.name}': choose a new "
                    "or empty folder"
                )
            return made
        if not inside:
            return {}
        if known := self.earlier(path):
            return {command: sorted(names) for command, names in known.items()}
        more = ", ..." if len(inside) > 4 else ""
        raise OutputError(
            f"{path}: holds files that EdgeFlow did not make ({', '.join(inside[:4])}{more}): "
            "choose a new or empty folder"
        )


@dataclass
class OutputFolder:
    """A folder that this process alone writes.

    Attributes
    ----------
    path : Path
    new : Path
        Where the new content is made; `commit` puts it into the folder.
    scratch : Path
        For what goes again.
    """

    path: Path
    kind: FolderKind
    made: dict[str, list[str]]
    new: Path
    scratch: Path
    marked: bool = field(default=False)

    def check(self, names: Collection[str]) -> None:
        """Refuse names of files that are there and that EdgeFlow did not make.

        Raises
        ------
        OutputError
            If there is one, or a link leads out of the folder.
        """
        ours = {name for made in self.made.values() for name in made}
        root = self.path.resolve()
        for name in names:
            place = self.path / name
            if os.path.lexists(place) and (name not in ours or place.is_dir()):
                raise OutputError(
                    f"{place}: EdgeFlow did not make it and would replace it: move it, or choose a "
                    "new or empty folder"
                )
            for parent in PurePosixPath(name).parents:
                above = self.path / parent
                if os.path.lexists(above) and not above.is_dir():
                    raise OutputError(f"{above}: a file is in the way of a folder: move it")
            if not place.parent.resolve().is_relative_to(root):
                raise OutputError(f"{place.parent}: a link leads out of the folder: remove it")

    def begin(self, names: Collection[str]) -> None:
        """Mark the folder before `names` are written into it one by one.

        Raises
        ------
        OutputError
            As `check`.
        """
        self.check(names)
        self.made[self.kind.name] = sorted({*self.made.get(self.kind.name, ()), *names})
        write_atomic(self.path / MARK / MADE, _mark_text(self.made))
        self.marked = True

    def commit(self, replaces: Collection[str] | None = None) -> list[Path]:
        """Put all files of `new` into the folder at once, in the place of the earlier ones.

        Parameters
        ----------
        replaces : collection of str, optional
            Files of this command that go if they are not among the new ones; default: all.

        Returns
        -------
        list of Path
            The files that were written.

        Raises
        ------
        OutputError
            As `check`.
        """
        names = files_below(self.new)
        self.check(names)
        before = self.made.get(self.kind.name, [])
        gone = [n for n in (before if replaces is None else replaces) if n in before]
        gone = [name for name in gone if name not in names]
        kept = {name: made for name, made in self.made.items() if name != self.kind.name}
        ours = sorted({*before, *names} - {*gone})
        # what another command made is the new maker's
        kept = {key: [n for n in made if n not in names] for key, made in kept.items()}
        made = {**kept, self.kind.name: ours}
        mark = self.new.with_name(MADE)
        write_atomic(mark, _mark_text(made))
        if not self.marked:  # before any file of ours is there, or another would call it foreign
            first = {**self.made, self.kind.name: sorted({*before, *names})}
            write_atomic(self.path / MARK / MADE, _mark_text(first))
        for name in names:
            if PurePosixPath(name).parts[0] not in self.kind.passing:
                synced(self.new / name)
        swap(self.path, self.path / MARK, self.new, gone, mark)
        self.new.mkdir()
        self.made, self.marked = made, True
        return [self.path / name for name in names]


@contextlib.contextmanager
def output_folder(path: str | Path, kind: FolderKind) -> Iterator[OutputFolder]:
    """Be the only one who writes a folder of results.

    What killed processes left in it goes first. If the block fails before anything was written,
    the folder is as it was.

    Parameters
    ----------
    path : str or Path
    kind : FolderKind

    Yields
    ------
    OutputFolder

    Raises
    ------
    OutputError
        If the folder holds what EdgeFlow did not make, or another process writes it.
    """
    path = Path(path)
    kind.check(path)
    hidden = path / MARK
    base = hidden / unfinished("new")
    with _naming(path, hidden, base):
        above = make_folder(path)
        try:
            with held(hidden / "lock", path):
                finish(path, hidden)
                _tidy(path, hidden)
                made = kind.check(path)
                marked = (hidden / MADE).exists()
                folder = OutputFolder(path, kind, made, base / "new", base / "scratch", marked)
                try:
                    folder.new.mkdir(parents=True)
                    folder.scratch.mkdir()
                    yield folder
                finally:
                    if not (hidden / LIST).exists():  # else the next one finishes it
                        _tidy(path, hidden)
                        if not folder.marked or (above and not _foreign(path)):
                            (hidden / MADE).unlink(missing_ok=True)  # nothing was made
        finally:
            with contextlib.suppress(OSError):  # there is a mark, or another writer
                hidden.rmdir()
            drop_folders(above)


def settled(path: str | Path) -> None:
    """Finish a swap that a killed process left, or wait for one that goes on, before reading.

    Raises
    ------
    OutputError
        If another process goes on writing.
    """
    hidden = Path(path) / MARK
    if (hidden / LIST).exists():
        with held(hidden / "lock", path, wait=_WAIT):
            finish(Path(path), hidden)


def _tidy(path: Path, hidden: Path) -> None:
    """Remove what is unfinished, when no other one is there: of killed writers, or our own."""
    for entry in list(hidden.iterdir()):
        if is_unfinished(entry.name):
            remove(entry)
    sweep(path)


def _foreign(path: Path) -> list[str]:
    """Return what is in a folder besides the mark and what is unfinished."""
    try:
        return sorted(
            entry.name + "/" * entry.is_dir()
            for entry in path.iterdir()
            if entry.name != MARK and not is_unfinished(entry.name)
        )
    except FileNotFoundError:  # another writer made it, and removed it
        return []


def _read_mark(file: Path) -> dict[str, list[str]] | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["made"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        found = None
    good = isinstance(found, dict) and all(
        isinstance(names, list) and all(map(is_inside, names)) for names in found.values()
    )
    if not good:
        raise OutputError(f"{file}: damaged: choose a new or empty folder")
    return dict(found)


def _mark_text(made: dict[str, list[str]]) -> str:
    return json.dumps({"format": 1, "made": made}, indent=1) + "\n"


@contextlib.contextmanager
def _naming(path: Path, hidden: Path, base: Path) -> Iterator[None]:
    """Say in errors what the new files will be called."""

    def known(text: str) -> str:
        for unknown in (base / "new", base / "scratch", base, hidden):
            text = text.replace(str(unknown), str(path))
        return text

    try:
        yield
    except EdgeFlowError as error:
        error.args = tuple(known(a) if isinstance(a, str) else a for a in error.args)
        raise
    except OSError as error:
        if isinstance(error.filename, str | os.PathLike):
            error.filename = known(os.fspath(error.filename))
        elif error.filename is None:
            error.filename = str(path)
        error.filename2 = None
        raise

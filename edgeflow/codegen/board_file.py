"""A build made with a board file of one's own keeps a copy of it, to run without ``--board``."""

import shutil
from pathlib import Path

from edgeflow.errors import TargetError
from edgeflow.resources import resource
from edgeflow.targets.board import BoardSpec, load_board
from edgeflow.targets.runner import HardwareRunner
from edgeflow.targets.soc import soc_folders
from edgeflow.targets.trust import TRUSTED_OPTIONS

#: Folder of a build with the copy: the file, and what was beside it.
FOLDER = "board"


def keep_board_file(spec: BoardSpec, directory: Path) -> str | None:
    """Copy a board file of one's own, with its core, SoC and packs, into a build.

    Parameters
    ----------
    spec : BoardSpec
    directory : Path
        Of the build.

    Returns
    -------
    str or None
        The copy's path in the build; None of a board that EdgeFlow ships.

    Raises
    ------
    TargetError
        If the file is no longer there.
    """
    file = spec.file
    if file is None or file.resolve().parent == resource("targets").resolve():
        return None
    folder, beside = directory / FOLDER, file.resolve().parent
    try:
        folder.mkdir()
        shutil.copy(file, folder / file.name)
        core = Path("cores") / f"{spec.core.name}.toml"
        files = [core, *_option_files(spec)]
        for name in files:
            if (beside / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(beside / name, folder / name)
        for soc in soc_folders(spec.soc) if spec.soc is not None else ():
            if soc.resolve().is_relative_to(beside / "soc"):
                shutil.copytree(soc, folder / "soc" / soc.name)
    except OSError as error:
        raise TargetError(f"{file}: cannot be kept in the build ({error.strerror})") from None
    return f"{FOLDER}/{file.name}"


def load_kept(directory: Path, name: str, *, trusted: bool) -> BoardSpec:
    """Return the board of a copy, by the same rules of trust as any other file.

    Raises
    ------
    TargetError
        If it is not within the build, is wrong, or needs trust.
    """
    file = directory / name
    if not file.resolve().is_relative_to(directory.resolve()):
        raise TargetError(f"{file}: a link that leads out of the build: say --board FILE")
    return load_board(file, trusted=trusted)


def _option_files(spec: BoardSpec) -> list[Path]:
    """Return files beside the board's that options of flash tools name."""
    runner = spec.runner
    tools = runner.options.values() if isinstance(runner, HardwareRunner) else ()
    values = (options.get(key) for options in tools for key in TRUSTED_OPTIONS)
    paths = [Path(value) for value in values if isinstance(value, str)]
    return [path for path in paths if not path.is_absolute() and ".." not in path.parts]

"""Data files by name: those of a folder of ``calibration``, and a user's own."""

from pathlib import Path
from typing import TypeVar

from edgeflow.calibration import Data, read_data
from edgeflow.errors import ImcError, TargetError
from edgeflow.resources import resource
from edgeflow.targets.spec import unknown

DataT = TypeVar("DataT", bound=Data)


def names_in(folder: str) -> list[str]:
    """Return the names of the files in a folder of ``calibration``."""
    return sorted(path.stem for path in (resource("calibration") / folder).glob("*.toml"))


def load_named(kind: type[DataT], what: str, folder: str, name: str | Path) -> DataT:
    """Return the content of a file of a name, or of a path that ends with ``.toml``.

    Parameters
    ----------
    kind : type
        Of the content.
    what : str
        What it is, for messages.
    folder : str
        Of ``calibration``.

    Raises
    ------
    ImcError
        If there is none of this name, or a value in it is wrong.
    """
    path = Path(name)
    if path.suffix != ".toml":
        known = names_in(folder)
        if str(name) not in known:
            raise ImcError(f"{unknown(what, str(name), known)}, or a .toml file of your own")
        path = resource("calibration") / folder / f"{name}.toml"
    try:
        return read_data(kind, path)
    except TargetError as problem:  # its reader is shared with board files
        raise ImcError(str(problem)) from None

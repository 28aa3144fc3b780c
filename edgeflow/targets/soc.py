"""SoC families: the folders of ``targets/soc``, and what they build on.

A folder is complete, or its ``soc.toml`` names another as its base: then the family has the base's
files, and its own instead of those of the same names.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from edgeflow.errors import TargetError
from edgeflow.resources import resource
from edgeflow.targets.spec import Spec, read_toml, shown, validate

SETTINGS = "soc.toml"


class SocSpec(Spec):
    """Settings of a SoC family.

    Attributes
    ----------
    name
        Of the file.
    base
        Family beside this one, or EdgeFlow's, whose files this one has too.
    boot_crc_bytes
        Bytes at the start of the section ``.boot`` whose CRC-32 linking puts behind them.
    flash_page
        Bytes that ``ef_hal_flash_erase`` erases at a time, of families that keep in flash what
        models learned; None: they do not.
    """

    name: str
    base: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")] | None = None
    boot_crc_bytes: int | None = Field(default=None, gt=0, le=65536)
    flash_page: int | None = Field(default=None, gt=0, le=1 << 20, multiple_of=4)


def soc_settings(folder: Path) -> SocSpec:
    """Return the settings of a SoC family; those of a folder without a ``soc.toml`` say nothing.

    Raises
    ------
    TargetError
        If something is wrong in the file.
    """
    path = folder / SETTINGS
    if not path.is_file():
        return SocSpec(name=path.stem)
    return validate(SocSpec, read_toml(path), path)


def soc_folders(folder: Path) -> list[Path]:
    """Return the folders that hold a family's files: its base's, if any, then its own.

    Raises
    ------
    TargetError
        If something is wrong in its ``soc.toml``, or its base is none.
    """
    base = soc_settings(folder).base
    if base is None:
        return [folder]
    where = f"{shown(folder / SETTINGS)}: base: "
    places = [folder.parent / base, resource("targets") / "soc" / base]
    found = next((place for place in places if (place / "link.ld").is_file()), None)
    if found is None:
        raise TargetError(f"{where}no family '{base}' with a link.ld")
    if soc_settings(found).base is not None:
        raise TargetError(f"{where}'{base}' has a base itself: a base is a complete family")
    return [found, folder]


def soc_files(folder: Path) -> dict[str, Path]:
    """Return the files of a SoC family by name.

    Raises
    ------
    TargetError
        As `soc_folders` does.
    """
    return {file.name: file for place in soc_folders(folder) for file in sorted(place.iterdir())}

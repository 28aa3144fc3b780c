"""Folders of the board files, firmware sources and calibration data.

In a checkout they stand at the top level; a wheel carries them inside the package.
"""

import os
from pathlib import Path

from edgeflow.errors import EdgeFlowError

#: Names folders of kernels beside EdgeFlow's own, separated as in ``PATH``.
KERNELS_VARIABLE = "EDGEFLOW_KERNELS"

_PACKAGE = Path(__file__).resolve().parent


def resource(name: str) -> Path:
    """Return the folder ``targets``, ``firmware`` or ``calibration``.

    Raises
    ------
    EdgeFlowError
        If the installation lacks it.
    """
    for root in (_PACKAGE / "_resources", _PACKAGE.parent):
        path = root / name
        if path.is_dir():
            return path
    raise EdgeFlowError(
        f"this installation of edgeflow has no '{name}' folder: reinstall it with "
        "'pip install --force-reinstall edgeflow'"
    )


def license_file() -> dict[str, str]:
    """Return the text of the licence by its file's name, for folders with sources of ours."""
    text = (resource("firmware").parent / "LICENSE").read_text(encoding="utf-8")
    return {"LICENSE": text}


def kernel_folders() -> list[Path]:
    """Return the folders of kernels: ``firmware/kernels``, then those of ``EDGEFLOW_KERNELS``.

    Raises
    ------
    EdgeFlowError
        If one is not there.
    """
    folders = [resource("firmware") / "kernels"]
    for name in filter(None, os.environ.get(KERNELS_VARIABLE, "").split(os.pathsep)):
        folders.append(Path(name).resolve())
        if not folders[-1].is_dir():
            raise EdgeFlowError(f"{KERNELS_VARIABLE}: no folder {name}")
    return folders


def kernel_sets() -> list[str]:
    """Return the names of kernel sets: ``c``, and the folders of sources in `kernel_folders`."""
    sources = (file for folder in kernel_folders() for file in folder.glob("*/*.[cS]"))
    return sorted({"c"} | {file.parent.name for file in sources})

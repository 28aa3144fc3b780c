"""Where the board files, firmware sources and calibration data are.

In a checkout they stand at the top level; a wheel carries them inside the package.
"""

from pathlib import Path

from edgeflow.errors import EdgeFlowError

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

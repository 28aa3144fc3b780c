"""Tools that write images to boards. A new one is one file in this folder."""

import inspect
from functools import cache

from edgeflow.device.runners.base import FlashRunner
from edgeflow.discovery import modules_of
from edgeflow.errors import DeviceError
from edgeflow.targets.board import BoardSpec

__all__ = ["FlashRunner", "find_runner", "runners"]


@cache
def runners() -> dict[str, type[FlashRunner]]:
    """Return the flash tools of the modules in this folder, by name."""
    found: dict[str, type[FlashRunner]] = {}
    for content in modules_of(__path__, __name__):
        for _, kind in inspect.getmembers(content, inspect.isclass):
            if (
                issubclass(kind, FlashRunner)
                and kind.__module__ == content.__name__
                and not inspect.isabstract(kind)
            ):
                found[kind.NAME] = kind
    return found


def find_runner(name: str, spec: BoardSpec, port: str | None = None) -> FlashRunner:
    """Return the flash tool of a name for a board.

    Parameters
    ----------
    name : str
    spec : BoardSpec
        A real board's ``[runner.options]`` are the tool's.
    port : str, optional
        Serial port of the board.

    Raises
    ------
    DeviceError
        If there is no such tool; with those that there are.
    TargetError
        If the board file has a wrong option for it.
    """
    known = runners()
    if name not in known:
        raise DeviceError(f"no runner '{name}'; known: {', '.join(known)}")
    return known[name](spec, port)

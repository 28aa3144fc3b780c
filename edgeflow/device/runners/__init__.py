"""Tools that write images to boards. A new one is one file in this folder."""

from functools import cache

from edgeflow.device.runners.base import FlashRunner
from edgeflow.discovery import classes_of
from edgeflow.errors import DeviceError, TargetError, ToolMissingError
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.runner import HardwareRunner
from edgeflow.targets.spec import shown, unknown

__all__ = ["FlashRunner", "find_runner", "first_installed", "runners", "runners_of"]


@cache
def runners() -> dict[str, type[FlashRunner]]:
    """Return the flash tools of the modules in this folder, by name."""
    return {kind.NAME: kind for kind in classes_of(__path__, __name__, FlashRunner)}


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


def runners_of(spec: BoardSpec) -> list[FlashRunner]:
    """Return the flash tools of a real board, the best first; none of another.

    Raises
    ------
    TargetError
        If the board file names a tool that there is not, or has a wrong option for one.
    """
    names = spec.runner.order if isinstance(spec.runner, HardwareRunner) else ()
    for name in names:
        if name not in runners():
            where = shown(spec.file) if spec.file is not None else spec.name
            raise TargetError(f"{where}: runner.order: {unknown('runner', name, list(runners()))}")
    return [find_runner(name, spec) for name in names]


def first_installed(spec: BoardSpec, port: str | None = None) -> FlashRunner:
    """Return the best flash tool of a real board that is installed.

    Raises
    ------
    ToolMissingError
        If none is, with what installs each.
    TargetError
        As of `runners_of`.
    """
    found = runners_of(spec)
    for runner in found:
        if runner.installed() is not None:
            runner.port = port
            return runner
    installs = "; or ".join(runner.INSTALL for runner in found)
    names = ", ".join(str(runner.TOOL) for runner in found)
    raise ToolMissingError(
        f"{spec.name}: no tool that writes to it is installed ({names}): {installs}"
    )

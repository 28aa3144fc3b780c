"""The counting plugin for QEMU: built once with the host's compiler, then kept in the cache."""

import re
import subprocess
from functools import cache
from pathlib import Path

from edgeflow.errors import ToolMissingError
from edgeflow.targets.host_code import host_code
from edgeflow.targets.tools import find_tool

_SOURCE = Path(__file__).resolve().parent / "tcg"
_FILES = ("ef_count.c", "qemu_api.h")
_FLAGS = ("-std=c99", "-O2", "-fPIC", "-shared", "-fvisibility=hidden")
OLDEST_QEMU = (6, 0)  # plugin API version 1


def build_plugin(cache_dir: Path | None = None) -> Path:
    """Return the path of the plugin, compiling it if the cache lacks it (`host_code`).

    Raises
    ------
    ToolMissingError
        If the host has no C compiler, or it cannot compile the plugin.
    """
    files = [_SOURCE / name for name in _FILES]
    return host_code(files, ".so", "the instruction counter", flags=_FLAGS, cache_dir=cache_dir)


@cache
def qemu_version(program: str) -> str | None:
    """Return the version of a QEMU program, such as ``7.2.22``; None if it does not tell.

    Raises
    ------
    ToolMissingError
        If the program is not there.
    """
    path = find_tool(program)
    text = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\d+\.\d+(\.\d+)*)", text)
    return found[1] if found else None


def check_qemu(program: str) -> tuple[int, int]:
    """Return the version of a QEMU program that can load the plugin.

    Raises
    ------
    ToolMissingError
        If the program is not there or is older than 6.0.
    """
    major, minor, *_ = map(int, (qemu_version(program) or "0.0").split("."))
    version = (major, minor)
    if version < OLDEST_QEMU:
        raise ToolMissingError(
            f"{program} {version[0]}.{version[1]} cannot load the instruction counter: "
            "install QEMU 6.0 or newer"
        )
    return version

"""The counting plugin for QEMU: built once with the host's compiler, then kept in the cache."""

import hashlib
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import platformdirs

from edgeflow.cache import keeping
from edgeflow.digest import is_whole
from edgeflow.errors import ToolMissingError
from edgeflow.targets.tools import apt_command, find_tool

_SOURCE = Path(__file__).resolve().parent / "tcg"
_FILES = ("ef_count.c", "qemu_api.h")
_FLAGS = ("-std=c99", "-O2", "-fPIC", "-shared", "-fvisibility=hidden")
OLDEST_QEMU = (6, 0)  # plugin API version 1


def build_plugin(cache_dir: Path | None = None) -> Path:
    """Return the path of the plugin, compiling it if the cache lacks it.

    The file's name holds a hash of the sources and flags. Behind all that a loader reads, it ends
    with a digest: a damaged one is compiled again. Two processes that build at once do no harm:
    each writes a file of its own, and the last to finish replaces the other's.

    Raises
    ------
    ToolMissingError
        If the host has no C compiler, or it cannot compile the plugin.
    """
    folder = cache_dir or Path(platformdirs.user_cache_dir("edgeflow"))
    compiler = os.environ.get("CC", "cc").split()
    key = hashlib.sha256(" ".join([*compiler, *_FLAGS, os.uname().machine]).encode())
    for name in _FILES:
        key.update((_SOURCE / name).read_bytes())
    plugin = folder / f"ef_count-{key.hexdigest()[:16]}.so"
    if is_whole(plugin):
        return plugin
    if not compiler or shutil.which(compiler[0]) is None:
        raise ToolMissingError(
            f"the instruction counter needs a C compiler on this machine: {apt_command(['gcc'])}"
        )
    with keeping(plugin) as temporary:
        command = [*compiler, *_FLAGS, str(_SOURCE / "ef_count.c"), "-o", str(temporary)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            reason = (result.stderr.strip().splitlines() or ["no message"])[0]
            raise ToolMissingError(
                f"{compiler[0]} cannot compile the instruction counter ({reason}): "
                f"{apt_command(['gcc'])}"
            )
    return plugin


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

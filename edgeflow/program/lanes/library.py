"""C of a step as a function of this process, built once and kept in the user's cache."""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import platformdirs

from edgeflow.cache import keeping
from edgeflow.digest import is_whole

#: Vectors as wide as they come, integers that wrap as those of numpy.
FLAGS = (
    "-O3", "-march=native", "-mprefer-vector-width=512", "-fopenmp-simd", "-fwrapv",
    "-fno-strict-aliasing", "-ffreestanding", "-fno-math-errno", "-w", "-shared", "-fPIC",
)  # fmt: skip
#: Seconds that a build may take.
_PATIENCE = 120.0


class NoLibraryError(Exception):
    """There is no compiler, or no place to keep what it makes."""


def path_of(text: str) -> Path:
    """Return where the library of a source is kept."""
    key = hashlib.sha256("\0".join([*_compiler(), *flags(), _machine(), text]).encode())
    folder = Path(platformdirs.user_cache_dir("edgeflow")) / "lanes"
    return folder / f"{key.hexdigest()[:32]}.so"


def build(text: str) -> Path:
    """Compile a source, unless it was; return the library.

    Raises
    ------
    NoLibraryError
        If that is not possible.
    """
    made = path_of(text)
    if is_whole(made):
        return made
    compiler = _compiler()
    if not compiler or shutil.which(compiler[0]) is None:
        raise NoLibraryError("there is no C compiler")
    try:
        with keeping(made) as temporary:
            command = [*compiler, *flags(), "-x", "c", "-", "-o", str(temporary)]
            done = subprocess.run(
                command, input=text, capture_output=True, text=True, check=False, timeout=_PATIENCE
            )
            if done.returncode != 0:
                raise NoLibraryError((done.stderr.strip().splitlines() or ["no message"])[0])
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoLibraryError(str(error)) from None
    return made


def is_built(text: str) -> bool:
    """Tell whether there is a library of a source."""
    path = path_of(text)
    return path in _loaded or path.exists()


def function_of(text: str) -> Any:
    """Return the function ``run`` of a source, which is compiled unless it was.

    Raises
    ------
    NoLibraryError
        If that is not possible, or it does not load.
    """
    path = path_of(text)
    if path in _loaded:
        return _loaded[path]
    try:
        run = ctypes.CDLL(str(build(text))).run
    except (OSError, AttributeError) as error:
        raise NoLibraryError(str(error)) from None
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    run.argtypes = [pointer, pointer, number, number, pointer, pointer]
    run.restype = ctypes.c_int
    _loaded[path] = run
    return run


_loaded: dict[Path, Any] = {}


def flags() -> list[str]:
    """Return the compiler's flags for this machine."""
    if platform.machine() in ("x86_64", "AMD64"):
        return list(FLAGS)
    return [flag for flag in FLAGS if not flag.startswith("-mprefer")]


def _compiler() -> list[str]:
    return os.environ.get("CC", "cc").split()


@functools.cache
def _machine() -> str:
    """Return what ``-march=native`` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() + platform.machine()
    return "".join(dict.fromkeys(line for line in lines if line.startswith(("flags", "Features"))))

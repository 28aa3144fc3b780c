"""Native libraries of an Android app, compiled by the Python package ``ziglang``."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import PurePosixPath

from edgeflow.errors import ExportError
from edgeflow.files import scratch_folder

#: Compiler options by Android's name of a processor's interface.
_TARGETS: Mapping[str, tuple[str, ...]] = {
    "arm64-v8a": ("-target", "aarch64-linux-android"),
    # all 32-bit watches with Wear OS 3 have a Cortex-A7 or later: it divides
    "armeabi-v7a": (
        *("-target", "arm-linux-androideabi"), "-mcpu=cortex_a7", "-mfloat-abi=softfp",
    ),
}  # fmt: skip
_FLAGS = (
    "-std=c99", "-O2", "-fPIC", "-fno-builtin", "-ffp-contract=off", "-fvisibility=hidden",
    "-shared", "-nostdlib", "-Wl,-s", "-Wl,-z,max-page-size=16384",
)  # fmt: skip
#: The compiler comes without Android's headers.
_STRING = """#include <stddef.h>
void *memset(void *to, int value, size_t size);
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
"""


def can_build() -> bool:
    """Tell whether the compiler is installed."""
    return importlib.util.find_spec("ziglang") is not None


def build_libraries(
    name: str, folder: str, jni_libs: str, files: Mapping[str, str]
) -> dict[str, str | bytes]:
    """Return ``libNAME.so`` for each kind of processor, by path in the package.

    Parameters
    ----------
    name : str
        Of the library.
    folder, jni_libs : str
        Of the sources among `files`, and of the libraries.
    files : mapping
        Texts by path.

    Raises
    ------
    ExportError
        If a source does not compile.
    """
    found: dict[str, str | bytes] = {}
    with scratch_folder("android") as place:
        for path, text in files.items():
            if PurePosixPath(path).parent == PurePosixPath(folder):
                (place / PurePosixPath(path).name).write_text(text, encoding="utf-8")
        (place / "include").mkdir()
        (place / "include" / "string.h").write_text(_STRING, encoding="utf-8")
        cache = {
            key: str(place / "cache") for key in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")
        }
        for kind, options in _TARGETS.items():
            library = place / f"{kind}.so"
            sources = sorted(str(path) for path in place.glob("*.c"))
            command = [sys.executable, "-m", "ziglang", "cc", *options, *_FLAGS]
            command += [f"-Wl,-soname,lib{name}.so", f"-I{place / 'include'}", *sources]
            done = subprocess.run(
                [*command, "-o", str(library)],
                capture_output=True,
                text=True,
                errors="replace",
                env={**os.environ, **cache},
            )
            if done.returncode != 0:
                lines = [line for line in done.stderr.splitlines() if "error" in line]
                raise ExportError(f"ziglang cannot compile the model for {kind}: {lines[0]}")
            found[f"{jni_libs}/{kind}/lib{name}.so"] = library.read_bytes()
    return found

"""Source files of C functions, by the kernel sets of a core."""

import posixpath
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgeflow.codegen.cells_header import NAME as CELLS_HEADER
from edgeflow.codegen.cells_header import cells_header
from edgeflow.codegen.kernels import MATVEC_KERNELS
from edgeflow.codegen.kernels.header import HEADER, prototypes
from edgeflow.errors import TargetError
from edgeflow.resources import kernel_folders

_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def source_file(function: str, kernel_sets: Sequence[str]) -> str:
    """Return the file of a function, relative to its folder of `kernel_folders`.

    A file in the folder of a kernel set, ``dsp/ef_gru_step.c``, replaces the plain one of the same
    name, ``ef_gru_step.c``, on cores that have the set.

    Parameters
    ----------
    function : str
    kernel_sets : sequence of str
        In order of preference; a kernel's name stands for its set.

    Raises
    ------
    TargetError
        If there is none.
    """
    of_kernel = {kernel.name: kernel.kernel_set for kernel in MATVEC_KERNELS}
    for name in (*(of_kernel.get(name, name) for name in kernel_sets), "."):
        for suffix in (".c", ".S"):
            path = Path(name) / (function + suffix)
            if _find(path.as_posix()) is not None:
                return path.as_posix()
    raise TargetError(f"{kernel_folders()[0]}: there is no file for the function {function}")


def source_text(name: str) -> str:
    """Return the text of a file of `source_file` or `included_files`.

    Headers of kernels and cells are generated, as further ones may be registered.
    """
    if name == HEADER:
        return prototypes(MATVEC_KERNELS)
    if name == CELLS_HEADER:
        return cells_header()
    file = _find(name)
    assert file is not None
    return file.read_text(encoding="utf-8")


def included_files(sources: Iterable[str]) -> list[str]:
    """Return the files that files of ``firmware/kernels`` include, directly or not."""
    found: list[str] = []
    left = list(sources)
    while left:
        including = Path(left.pop())
        for name in _INCLUDE.findall(source_text(including.as_posix())):
            for place in (including.parent, Path()):
                relative = posixpath.normpath((place / name).as_posix())
                if _find(relative) is not None:
                    if relative not in found:
                        found.append(relative)
                        left.append(relative)
                    break
    return sorted(found)


def _find(name: str) -> Path | None:
    """Return a file by its relative name, EdgeFlow's own first."""
    files = (folder / name for folder in kernel_folders())
    return next((file for file in files if file.is_file()), None)

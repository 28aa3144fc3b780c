"""Source files of C functions, by the kernel sets of a core."""

import re
from collections.abc import Iterable, Sequence

from edgeflow.codegen.kernels import MATVEC_KERNELS
from edgeflow.errors import TargetError
from edgeflow.resources import resource

_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def source_file(function: str, kernel_sets: Sequence[str]) -> str:
    """Return the file of a function, relative to ``firmware/kernels``.

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
    folder = resource("firmware") / "kernels"
    for name in (*(of_kernel.get(name, name) for name in kernel_sets), "."):
        for suffix in (".c", ".S"):
            file = folder / name / (function + suffix)
            if file.is_file():
                return file.relative_to(folder).as_posix()
    raise TargetError(f"{folder}: there is no file for the function {function}")


def included_files(sources: Iterable[str]) -> list[str]:
    """Return what files of ``firmware/kernels`` include there, and what that includes in turn."""
    folder = resource("firmware") / "kernels"
    found: list[str] = []
    left = list(sources)
    while left:
        file = folder / left.pop()
        for name in _INCLUDE.findall(file.read_text(encoding="utf-8")):
            for place in (file.parent, folder):
                if (place / name).is_file():
                    relative = (place / name).resolve().relative_to(folder.resolve()).as_posix()
                    if relative not in found:
                        found.append(relative)
                        left.append(relative)
                    break
    return sorted(found)

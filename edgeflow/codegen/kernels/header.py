"""The header with the prototypes of all matvec kernels: ``firmware/kernels/ef_matvec.h``."""

from collections.abc import Iterable
from itertools import groupby

from edgeflow.codegen.kernels import KERNEL_ABOUT
from edgeflow.codegen.kernels.kernel import MatvecKernel

HEADER = "ef_matvec.h"

_HEAD = """/* Matvec kernels by their sets: written by scripts/firmware_headers.py. */
#ifndef EF_MATVEC_H
#define EF_MATVEC_H"""


def prototypes(kernels: Iterable[MatvecKernel]) -> str:
    """Return the header's text: a prototype and a comment for each kernel.

    Parameters
    ----------
    kernels : iterable of MatvecKernel
        Set by set. Those by TVM have no prototype: a program's own code has it.
    """
    parts = [_HEAD]
    ours = (kernel for kernel in kernels if not kernel.by_tvm)
    for name, members in groupby(ours, key=lambda kernel: kernel.kernel_set):
        lines = {f"ef_matvec {kernel.name};": kernel.about for kernel in members}
        width = max(map(len, lines))
        parts.append(f"/* {KERNEL_ABOUT[name]} ({name}) */")
        parts[-1] += "".join(f"\n{line:{width}} /* {about} */" for line, about in lines.items())
    return "\n\n".join([*parts, "#endif\n"])

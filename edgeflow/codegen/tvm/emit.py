"""TVM functions as one source file: assembly by LLVM, or C for other compilers."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import tvm
from tvm.target import Target

from edgeflow.codegen.tvm.assembly import plain_assembly
from edgeflow.errors import TargetError

#: Lines of every C file of TVM's after its headers.
_C_PRELUDE = """
#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#endif
"""


def source(
    functions: Sequence[Any],
    target: Mapping[str, Any],
    headers: Sequence[str] = ('"ef_kernels.h"', "<stdbool.h>"),
) -> tuple[str, str]:
    """Compile functions that take raw pointers.

    Parameters
    ----------
    functions : sequence of PrimFunc
        With a ``global_symbol`` each; they call nothing but each other and C functions.
    target : mapping
        Of `tvm.target.Target`, kind ``llvm`` or ``c``.
    headers : sequence of str
        What C text includes, instead of the headers of TVM's runtime.

    Returns
    -------
    str, str
        The text of a file without dependencies, and its suffix: ``.S`` or ``.c``.

    Raises
    ------
    TargetError
        If TVM does not compile them.
    """
    names = [str(f.attrs["global_symbol"]) for f in functions]
    try:
        module = tvm.IRModule(dict(zip(names, functions, strict=True)))
        library = tvm.tirx.build(module, target=Target(dict(target)))
        if target["kind"] == "c":
            includes = "".join(f"#include {header}\n" for header in headers)
            return includes + _plain_c(library.inspect_source(), names), ".c"
        return plain_assembly(library.inspect_source("asm"), names), ".S"
    except Exception as error:  # TVM raises several unrelated types, LLVM's messages among them
        first = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise TargetError(f"TVM cannot compile for {dict(target)}: {first}") from error


def _plain_c(text: str, names: Sequence[str]) -> str:
    """Return C99 of the functions only: no headers of TVM's, no entry point."""
    body = text[text.index("#ifdef __cplusplus") :]
    body = re.sub(r'#ifdef __cplusplus\nextern "C"\n#endif\n', "", body)
    parts = re.split(r"^(?=TVM_DLL )", body, flags=re.MULTILINE)
    kept = [p for p in parts[1:] if re.match(r"TVM_DLL \w+\*? (\w+)\(", p)[1] in names]  # type: ignore[index]
    return _C_PRELUDE + "\n" + "".join(kept).replace("TVM_DLL ", "")

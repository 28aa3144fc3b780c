"""The files of a C library from its plan: names and texts, then a folder.

The library has no dependency: no malloc, no stdio, no libm. State and scratch are inside
``model_t``, which the caller owns.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from edgeflow.codegen.cells_header import NAME as CELLS_HEADER
from edgeflow.codegen.cells_header import cells_header
from edgeflow.codegen.plan import Plan
from edgeflow.codegen.render.header import model_header
from edgeflow.codegen.render.names import Names
from edgeflow.codegen.render.source import HEADERS, model_source
from edgeflow.codegen.sources import included_files, source_text
from edgeflow.files import write_atomic

# in kernels, global names begin with ef_, and so do the names of their files
_KERNEL_NAME = re.compile(r"\bef_(?!\w+\.(?:h|inc|c|S)\b)")


def render(plan: Plan, prefix: str = "model", *, shared: bool = False) -> dict[str, str]:
    """Return the texts of a library's files by their paths.

    Parameters
    ----------
    plan : Plan
    prefix : str
        Of its functions, types and macros: ``model_step``, ``model_t``, ``MODEL_INPUTS``.
    shared : bool
        For a firmware with more such libraries and a compiler of its own: the names of the kernels
        begin with the prefix, too, and the header refuses processors that they are not for.

    Returns
    -------
    dict
        ``kernels/...``, ``PREFIX.c`` and ``PREFIX.h``.
    """
    names = Names(prefix, f"{prefix}_" if shared else "")
    files = {*HEADERS, *included_files([*HEADERS, *plan.sources]), *plan.sources} - {CELLS_HEADER}
    texts = {Path(file).name: source_text(file) for file in files}
    texts |= {CELLS_HEADER: cells_header(), **plan.generated}
    rendered = {f"kernels/{name}": _kernel(texts[name], names) for name in sorted(texts)}
    rendered[f"{prefix}.c"] = model_source(plan, names)
    rendered[f"{prefix}.h"] = model_header(plan, names, guarded=shared)
    return rendered


def _kernel(text: str, names: Names) -> str:
    """Return a kernel's source with the library's names: it was written without them."""
    if not names.own:
        return text
    return _KERNEL_NAME.sub(f"{names.own}ef_", text).replace("model_t", names.type)


def write(files: Mapping[str, str], directory: str | Path) -> None:
    """Write what `render` returned; no other kernels stay in the folder."""
    directory = Path(directory)
    for name, text in files.items():
        write_atomic(directory / name, text)
    for file in (directory / "kernels").glob("*.*"):
        if f"kernels/{file.name}" not in files:
            file.unlink()

"""``ef_cells.h``: parameter structs and prototypes of the layers' steps, from the node classes.

A struct has the fields of its class, in their order: matrices, arrays, sizes, ints. Types follow
from the declared ranges, comments from the NumPy docstrings.
"""

import re
import textwrap
from collections.abc import Iterator
from itertools import groupby

from edgeflow.program.nodes import NODES, Node
from edgeflow.program.nodes.base import Range, array_type, is_optional

#: Longest line, and room for a member before a comment on its line.
WIDTH, MEMBER = 100, 42
NAME = "ef_cells.h"
HEAD = """/*
 * Parameters and steps of the layers, made from edgeflow/program/nodes by
 * edgeflow/codegen/cells_header.py: not to be edited.
 *
 * States are read and replaced. y is apart from x. Working memory is aligned to 8 bytes and as long
 * as the class says (scratch: int16, scratch32: int32).
 */
#ifndef EF_CELLS_H
#define EF_CELLS_H
"""


def cells_header() -> str:
    """Return the text of ``ef_cells.h`` for all registered nodes."""
    kinds: dict[str, list[type[Node]]] = {}
    for kind in NODES.values():
        if kind.c_struct:
            kinds.setdefault(kind.c_struct, []).append(kind)
    parts = [_struct(name, sharing) for name, sharing in kinds.items()]
    return "\n".join([HEAD, *parts, "#endif\n"])


def _struct(name: str, kinds: list[type[Node]]) -> str:
    """Return a struct with the members of all classes that share it, and their prototypes."""
    members: dict[str, str] = {}
    for kind in kinds:
        members |= dict.fromkeys(kind.matrix_fields, "const ef_matrix *")
    for kind in kinds:
        members |= {f: f"const EF_FLASH {_array(r)} *" for f, r in kind.array_fields.items()}
    for kind in kinds:
        members |= dict.fromkeys(kind.size_fields, "uint16_t ")
        members |= {f: f"{_integer(r)} " for f, r in kind.int_fields.items()}
    notes: dict[str, str] = {}
    for kind in kinds:
        notes = {**_notes(kind, tuple(members)), **notes}
    titles = [_plain((kind.__doc__ or "").split("\n")[0]) for kind in kinds]
    lines = [
        *(_comment(title, "") for title in titles),
        "typedef struct {",
        *_aligned(
            [(f"    {kind}{field};", notes.get(field, "")) for field, kind in members.items()]
        ),
        f"}} {name};\n",
        *dict.fromkeys(_prototype(kind) for kind in kinds),
    ]
    return "\n".join(lines) + "\n"


def _prototype(kind: type[Node]) -> str:
    """Return the prototype of what ``Node.c_call`` calls."""
    wide = {
        name: isinstance(bits, int) and bits > 16 for name, (_, bits) in kind.state_fields.items()
    }
    arguments = [f"const {kind.c_struct} *cell", "const int16_t *x"]
    arguments += [f"int{32 if wide[name] else 16}_t *{name}" for name in wide]
    arguments += [
        f"const int{32 if bits == 32 else 16}_t *{name}"
        for name, (_, bits) in kind.derived_fields.items()
    ]
    arguments += ["int16_t *y"] if kind.output_state is None else []
    buffers = ("int16_t *scratch", "int32_t *scratch32")
    arguments += [b for b, used in zip(buffers, kind.c_scratch(), strict=True) if used]
    head = f"void {kind.c_function}("
    text = textwrap.fill(
        f"{head}{', '.join(arguments).replace(' ', chr(0)).replace(',' + chr(0), ', ')});",
        WIDTH, subsequent_indent=" " * len(head), break_long_words=False,
    )  # fmt: skip
    return text.replace(chr(0), " ")


def _integer(values: Range) -> str:
    low, high = values
    if low >= 0 and high < 1 << 16:
        return "uint8_t" if high < 1 << 8 else "uint16_t"
    return "int32_t" if low >= -(1 << 31) and high < 1 << 31 else "int64_t"


def _array(values: Range) -> str:
    return f"{array_type(values).__name__}_t"


def _notes(kind: type[Node], members: tuple[str, ...]) -> dict[str, str]:
    """Return the comments of members, from docstrings of the class and of its properties."""
    found: dict[str, str] = {}
    for cls in reversed(kind.__mro__):
        for names, shape, text in _parameters(cls.__doc__ or ""):
            first = min(names, key=lambda n: members.index(n) if n in members else len(members))
            found |= dict.fromkeys(names, "")
            found[first] = " ".join(filter(None, (shape, text)))
    for field in kind.size_fields:
        found[field] = (getattr(kind, field).__doc__ or "").split("\n\n")[0]
    for field in (*kind.matrix_fields, *kind.array_fields):
        if is_optional(kind, field):
            found[field] = f"or null; {found.get(field, '')}".removesuffix("; ")
    return {name: _plain(text) for name, text in found.items()}


def _plain(text: str) -> str:
    return " ".join(re.sub(r"`|:math:", "", text).split()).rstrip(".")


def _parameters(docstring: str) -> Iterator[tuple[list[str], str, str]]:
    """Yield names, shape and description of the entries of a NumPy docstring's parameters."""
    body = textwrap.dedent("    " + docstring).partition("Parameters\n----------\n")[2]
    for entry in re.finditer(
        r"^(\w+(?:, \w+)*)(?: : (.*))?\n((?:    .*\n|\n)*)", body + "\n", re.M
    ):
        shape = re.search(r"\[.*\]", entry[2] or "")
        yield entry[1].split(", "), shape[0] if shape else "", " ".join(entry[3].split())


def _aligned(lines: list[tuple[str, str]]) -> list[str]:
    """Return members with their comments behind them, aligned, or above where they are too long."""
    result: list[str] = []
    beside = [bool(note) and len(f"/* {note} */") <= WIDTH - MEMBER for _, note in lines]
    for fits, run in groupby(zip(lines, beside, strict=True), key=lambda line: line[1]):
        members = [line for line, _ in run]
        column = max(len(member) for member, _ in members)
        for member, note in members:
            if fits:
                result.append(f"{member:<{column}} /* {note} */")
            else:
                result += [_comment(note, "    "), member] if note else [member]
    return result


def _comment(text: str, indent: str) -> str:
    return textwrap.fill(
        f"/* {text} */", WIDTH, initial_indent=indent, subsequent_indent=f"{indent}   "
    )

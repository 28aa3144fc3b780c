"""Text and HTML of a program: one line, or a table for notebooks."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from edgeflow.notebook import html_table
from edgeflow.program.sources import chain_of, names_of

if TYPE_CHECKING:
    from edgeflow.program.program import Program

#: Names that are shown of a longer list.
_SHOWN = 6


def name_list(names: Sequence[str]) -> str:
    """Return names for a line of text; of many only the first."""
    if len(names) <= _SHOWN:
        return ", ".join(names)
    return f"{', '.join(names[:_SHOWN])}, ... {len(names)} in all"


def size_text(size: int) -> str:
    """Return a number of bytes for a line of text."""
    return f"{size} B" if size < 1000 else f"{size / 1000:.1f} kB"


def one_line(program: "Program") -> str:
    """Return ``Program(GRU 6->32, Linear 32->7; 7 classes; int8; 5.9 kB; 3f2a90c1...)``.

    Of a graph, what a node reads stands behind it where it is not the one before:
    ``Add 64->32 of rnn0, rnn1``.
    """
    parts = [
        ", ".join(
            f"{node.op_type} {node.inputs}->{node.outputs}{_of(program, number)}"
            for number, node in enumerate(program.nodes)
        ),
        *([f"gives{_of(program, -1)[3:]}"] if _of(program, -1) else []),
        f"{len(program.classes)} classes" if program.classes else f"{program.outputs} values",
        *_widths(program),
        size_text(program.weight_bytes),
        f"{program.hash.hex()[:8]}...",
    ]
    return f"Program({'; '.join(parts)})"


def html(program: "Program") -> str:
    """Return a table of the layers, as HTML."""
    header = ["layer", "kind", "reads", "gives", "weights", "bytes", "MACs per step"]
    rows = [
        [
            node.name,
            node.op_type,
            str(node.inputs) + _of(program, number),
            str(node.outputs),
            " ".join(f"int{bits}" for bits in node.weight_bits()),
            f"{node.weight_bytes():,}",
            f"{node.macs():,}",
        ]
        for number, node in enumerate(program.nodes)
    ]
    about = [
        f"reads {name_list(program.input.channels)}",
        f"tells apart {name_list(program.classes)}" if program.classes else "gives values",
        f"decides {decides(program)}",
        f"{size_text(program.weight_bytes)} of weights",
    ]
    return html_table(f"Program {program.hash.hex()}", header, rows) + (
        f"<p>{escape('; '.join(about))}</p>"
    )


def decides(program: "Program") -> str:
    """Return when a program decides, in words."""
    if program.hop:
        return f"every {program.hop} samples, on windows of {program.window} that overlap"
    return f"every {program.window} samples" if program.window else "at every sample"


def _of(program: "Program", number: int) -> str:
    """Return " of " and the names of what a node, or the output, reads; "" in a chain."""
    usual = chain_of(len(program.nodes))[number]
    if program.reads[number] == usual:
        return ""
    return f" of {', '.join(names_of(program.nodes, program.reads[number]))}"


def _widths(program: "Program") -> list[str]:
    widths = sorted({bits for node in program.nodes for bits in node.weight_bits()})
    return [" and ".join(f"int{bits}" for bits in widths)] if widths else []

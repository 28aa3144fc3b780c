"""The reStructuredText of docstrings as Markdown: equations become MathML.

mkdocstrings loads it (``mkdocs.yml``). Browsers draw MathML by themselves, without a script.
"""

import re
import textwrap
from typing import Any

from griffe import Extension, Object
from latex2mathml.converter import convert

BLOCK = re.compile(r"^( *)\.\. math::[ ]?(.*(?:\n(?:\1 +.*| *(?=\n\1 )))*)", re.M)
INLINE = re.compile(r":math:`([^`]+)`")
ROLE = re.compile(r":\w+:`~?([^`]+)`")


def block(match: re.Match[str]) -> str:
    """Return the equations of a directive as MathML."""
    indent, body = match[1], textwrap.dedent(match[2].replace("\n\n", "\n")).strip()
    body = " ".join(line.strip() for line in body.splitlines())
    body = body.replace(r"\_", "_")  # which the converter does not know in \text
    if "&" in body or r"\\" in body:
        body = rf"\begin{{align*}}{body}\end{{align*}}"
    return f"{indent}{convert(body, display='block')}\n"


def markdown(text: str) -> str:
    """Return a docstring with its directives and roles as Markdown."""
    text = BLOCK.sub(block, text)
    # a span, as a line that begins with an unknown tag would be a block
    text = INLINE.sub(lambda match: f"<span>{convert(match[1])}</span>", text)
    return ROLE.sub(r"`\1`", text)


class Docstrings(Extension):
    """Rewrites docstrings as they are read."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)

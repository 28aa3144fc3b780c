"""Tables for notebooks."""

from collections.abc import Sequence
from html import escape

from edgeflow.errors import printable


def html_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with a caption, as HTML."""
    head = "".join(f"<th>{_shown(text)}</th>" for text in header)
    body = "".join(
        f"<tr>{''.join(f'<td>{_shown(text)}</td>' for text in row)}</tr>" for row in rows
    )
    return (
        f"<table><caption>{_shown(title)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _shown(text: str) -> str:
    return escape(printable(text))

"""What every subcommand prints with: tables and progress to people, JSON to programs.

Results go to stdout, progress and errors to stderr, so that ``--json`` output can be piped.
"""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

out = Console()
err = Console(stderr=True)


def fail(message: str) -> None:
    """Print one line that says what went wrong."""
    line = " ".join(message.split())
    err.print(f"[bold red]error:[/bold red] {_escape(line)}", soft_wrap=True, highlight=False)


def note(message: str) -> None:
    """Print a line about progress (stderr)."""
    err.print(message, highlight=False, soft_wrap=True)


def _escape(text: str) -> str:
    return text.replace("[", "\\[")


def progress() -> Progress:
    """Return a progress bar on stderr."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[status]}"),
        console=err,
        transient=True,
    )


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print a table; columns after the first are right-aligned."""
    result = Table()
    for number, column in enumerate(columns):
        result.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        result.add_row(*("" if cell is None else str(cell) for cell in row))
    out.print(f"[bold]{_escape(title)}[/bold]", soft_wrap=True, highlight=False)
    out.print(result)


def print_json(value: Any) -> None:
    """Print `value` as JSON on stdout (numpy scalars and arrays allowed)."""
    print(json.dumps(value, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)

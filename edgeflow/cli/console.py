"""Output of every subcommand: tables and progress for people, JSON for programs.

Results go to stdout, progress and errors to stderr, so that ``--json`` output can be piped.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from edgeflow.errors import printable
from edgeflow.progress import StageProgress

if TYPE_CHECKING:
    from edgeflow.tasks import Task as LearningTask
    from edgeflow.training.fit import OnEpoch


class _Console(Console):
    """Prints texts without control characters: names come from files and boards."""

    def on_broken_pipe(self) -> None:
        raise  # for the command line to end quietly; rich would end with 1, a failed check

    def print(self, *objects: Any, **options: Any) -> None:
        shown = (printable(o, keep="\n") if isinstance(o, str) else o for o in objects)
        super().print(*shown, **options)


class _Column(TextColumn):
    """A text of a progress bar, which may hold names."""

    def render(self, task: Task) -> Text:
        return Text(printable(self.text_format.format(task=task)))


# no markup: paths and names of classes may hold square brackets
out = _Console(markup=False, highlight=False)
err = _Console(stderr=True, markup=False, highlight=False)


def fail(message: str) -> None:
    """Print one line that says what went wrong."""
    line = " ".join(message.split())
    err.print(Text.assemble(("error:", "bold red"), f" {printable(line)}"), soft_wrap=True)


def note(message: str, label: str = "") -> None:
    """Print a line about progress (stderr), with a label in bold before it."""
    text = Text.assemble((printable(label), "bold"), printable(message))
    err.print(text, soft_wrap=True)


def notes(lines: Iterable[str]) -> None:
    """Print remarks that a user should know of, a line each."""
    for line in lines:
        note(line, label="note: ")


def progress() -> Progress:
    """Return a progress bar on stderr; none where that is no terminal."""
    return Progress(
        _Column("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        _Column("{task.fields[status]}", markup=False),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )


@contextmanager
def counting(title: str) -> Iterator[Callable[..., None]]:
    """Show a bar; yield a function that moves it: done, total, status."""
    with progress() as bar:
        task = bar.add_task(title, total=None, status="")

        def on_progress(done: int | None, total: int | None, status: str = "") -> None:
            bar.update(task, completed=done, total=total, status=status)

        yield on_progress


def stages(bar: Progress) -> StageProgress:
    """Return a callback that shows one stage after another on a bar, each until it is done."""
    shown: tuple[str, TaskID] | None = None

    def on_progress(stage: str, done: int, total: int, /) -> None:
        nonlocal shown
        length = total or None  # a bar without one only moves
        if shown is None or shown[0] != stage:
            if shown is not None:
                bar.remove_task(shown[1])
            shown = stage, bar.add_task(stage, total=length, status="")
        bar.update(shown[1], completed=done, total=length, visible=not 0 < total <= done)

    return on_progress


def epochs(bar: Progress, row: TaskID, task: "LearningTask") -> "OnEpoch":
    """Return a callback that shows the epochs of a training in a row of a bar."""

    def on_epoch(epoch: int, total: int, scores: dict[str, float]) -> None:
        status = f"loss {scores['loss']:.3f}  {task.validation_text(scores)}"
        bar.update(row, completed=epoch, total=total, status=status, visible=epoch < total)

    return on_epoch


def table(
    title: str,
    columns: Iterable[str],
    rows: Iterable[Iterable[Any]],
    *,
    text: Collection[str] = (),
) -> None:
    """Print a table; all columns but the first and those named in `text` are right-aligned.

    The first names the rows: it is never cut.
    """
    result = Table()
    for number, column in enumerate(columns):
        left = number == 0 or column in text
        result.add_column(
            printable(column), justify="left" if left else "right", no_wrap=number == 0
        )
    for row in rows:
        result.add_row(*("" if cell is None else printable(str(cell)) for cell in row))
    if title:
        out.print(Text(printable(title), "bold"), soft_wrap=True)
    out.print(result)


def print_json(value: Any) -> None:
    """Print `value` as JSON on stdout (numpy scalars and arrays allowed)."""
    # flushed here, where a reader that went away is still dealt with
    print(json.dumps(value, indent=2, default=_plain), flush=True)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)

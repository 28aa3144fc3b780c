"""The ``edgeflow`` command, in this process: the imports that a process pays are paid once.

What is about the process itself (signals, pipes that close, start-up) starts `PROGRAM` instead.
"""

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from subprocess import CompletedProcess

#: Arguments that start the command as a process of its own.
PROGRAM = [sys.executable, "-c", "from edgeflow.cli import main; main()"]


def edgeflow(
    *arguments: str | Path, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> CompletedProcess[str]:
    """Run a command as a shell does; return its exit code and what it printed.

    Parameters
    ----------
    *arguments
        Behind ``edgeflow``.
    environment : mapping, optional
        All environment variables; default: those of this process. COLUMNS is the width of tables.
    folder : Path, optional
        Where it runs.
    """
    from edgeflow import cli
    from edgeflow.cli import console

    out, err = io.StringIO(), io.StringIO()
    with (
        _environment(environment), contextlib.chdir(folder or "."), _arguments(arguments), _handlers(),
        contextlib.redirect_stdout(out), contextlib.redirect_stderr(err),
    ):  # fmt: skip
        for screen in (console.out, console.err):
            screen.width = int(os.environ.get("COLUMNS", 80))
        try:
            cli.main()
            code = 0
        except SystemExit as exit_:
            code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    return CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _environment(wanted: Mapping[str, str] | None) -> Iterator[None]:
    before = dict(os.environ)
    try:
        if wanted is not None:
            os.environ.clear()
            os.environ.update(wanted)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _arguments(arguments: tuple[str | Path, ...]) -> Iterator[None]:
    before = sys.argv
    sys.argv = ["edgeflow", *map(str, arguments)]
    try:
        yield
    finally:
        sys.argv = before


@contextlib.contextmanager
def _handlers() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)

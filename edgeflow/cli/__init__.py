"""The ``edgeflow`` command: a module per subcommand, with its `command`, or an `app` of several."""

import errno
import importlib
import io
import logging
import os
import signal
import sys
from typing import Any

import typer
from typer.core import TyperGroup

import edgeflow.cli.one_thread  # noqa: F401 - before anything that imports numpy
from edgeflow import __version__
from edgeflow.cli import console
from edgeflow.errors import CheckFailed, EdgeFlowError

# In the order of the pipeline, which is the order in --help.
COMMANDS = (
    "demo", "data", "train", "compress", "search", "inspect", "compile", "float", "export", "flash",
    "profile", "energy", "budget", "live", "apps", "compare", "imc", "mlperf", "bench", "boards",
    "doctor",
)  # fmt: skip

_ADVICE = {
    errno.EEXIST: "a file is in the way of a folder",
    errno.ENOTDIR: "a file is in the way of a folder",
    errno.EISDIR: "a folder is in the way of a file",
    errno.EACCES: "use another place, or change the rights of this one",
    errno.EROFS: "use another place",
    errno.ENOSPC: "free some space, then run the command again",
}


class _Stopped(KeyboardInterrupt):
    """Another program asked us to end: as orderly as after Ctrl-C."""

    def __init__(self, number: int) -> None:
        self.number = number


class _Commands(TyperGroup):
    """The commands in the order of `COMMANDS`, with our own words when they are interrupted."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            console.fail("interrupted")
            number = error.number if isinstance(error, _Stopped) else signal.SIGINT
            raise typer.Exit(128 + number) from None
        except BrokenPipeError:
            # the reader of our output went away; keep the interpreter's exit quiet too
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(141) from None


app = typer.Typer(
    name="edgeflow",
    cls=_Commands,
    help="From a trained PyTorch recurrent model to a small, fast, measured firmware image.\n\n"
    "Start with [bold]edgeflow demo[/bold]. With a model and recordings of your own:\n\n"
    "  edgeflow compress mymodel.py:Net --checkpoint net.pt --data mine.csv\n"
    "  edgeflow compile model.onnx --board qemu-m4 -o build\n"
    "  edgeflow profile build --data mine.csv",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:
    if value:
        console.out.print(f"edgeflow {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version."
    ),
) -> None:
    pass


for _name in COMMANDS:
    _module = importlib.import_module(f"edgeflow.cli.{_name}")
    if hasattr(_module, "command"):
        app.command(_name)(_module.command)
    else:
        app.add_typer(_module.app)


def main() -> None:
    """Run the command line; print an EdgeFlowError as one line, never a traceback."""
    _prepare()
    try:
        app()
    except CheckFailed as error:
        console.fail(str(error))
        sys.exit(1)
    except EdgeFlowError as error:
        console.fail(str(error))
        sys.exit(2)
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0)
        reason = f"{error.strerror or error}{': ' if advice else ''}{advice or ''}"
        console.fail(f"{error.filename or 'input/output'}: {reason}")
        sys.exit(2)


def _prepare() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # µ in a locale that has none
    # its remarks on its cache are not about what the user asked for
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _stop)


def _stop(number: int, frame: object) -> None:
    raise _Stopped(number)

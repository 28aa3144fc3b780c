"""The ``edgeflow`` command: one module a subcommand, found by its name."""

import importlib
import os
import sys

import typer

from edgeflow import __version__
from edgeflow.cli import console
from edgeflow.errors import CheckFailed, EdgeFlowError

# In the order of the pipeline, which is the order in --help.
COMMANDS = (
    "demo", "data", "train", "compress", "inspect", "compile", "flash", "profile", "boards",
    "doctor",
)  # fmt: skip

app = typer.Typer(
    name="edgeflow",
    help="From a trained PyTorch recurrent model to a small, fast, measured firmware image.\n\n"
    "Start with [bold]edgeflow demo[/bold].",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:
    if value:
        console.out.print(f"edgeflow {__version__}", highlight=False)
        raise typer.Exit()


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version."
    ),
) -> None:
    pass


for _name in COMMANDS:
    importlib.import_module(f"edgeflow.cli.{_name}").register(app)


def main() -> None:
    """Run the command line; print an EdgeFlowError as one line, never a traceback."""
    try:
        app()
    except CheckFailed as error:
        console.fail(str(error))
        sys.exit(1)
    except EdgeFlowError as error:
        console.fail(str(error))
        sys.exit(2)
    except KeyboardInterrupt:
        console.fail("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        # the reader of our output went away; keep the interpreter's exit quiet too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        console.fail(f"{error.filename or 'input/output'}: {error.strerror or error}")
        sys.exit(2)

"""``edgeflow live``: a model on recordings of a subject, step by step, in the browser."""

import contextlib
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgeflow.cli import console, dataset
from edgeflow.cli.options import DATA_FILES, PORT, RUNNER, TRUST_BOARD
from edgeflow.cli.schema import with_options
from edgeflow.data.reading import DataOptions

if TYPE_CHECKING:
    from edgeflow.apps.live import Place
    from edgeflow.codegen.build import Build
    from edgeflow.codegen.package import Package
    from edgeflow.data import Dataset
    from edgeflow.program import Program
    from edgeflow.targets.board import BoardSpec


@with_options(reading=DataOptions)
def command(
    model: Path = typer.Argument(
        ...,
        help="A program: model.onnx of 'edgeflow compress'. Or a folder of 'edgeflow compile', "
        "'edgeflow demo' or, with --port, 'edgeflow export'.",
    ),
    data: str | None = typer.Option(
        None, "--data", help=f"{DATA_FILES}. Default: what the model was made with."
    ),
    person: str | None = typer.Option(
        None,
        "--person",
        help="Whose recordings are shown first. Default: a subject whom the model was neither "
        "trained nor tuned on, as all that the page offers.",
    ),
    board: str | None = typer.Option(
        None,
        "--board",
        help="Runs the model: a name of 'edgeflow boards', such as host or qemu-m4, or a .toml "
        "file. Default: the build's; of a program the bit-exact reference, without a board.",
    ),
    port: str | None = PORT,
    runner: str | None = RUNNER,
    no_flash: bool = typer.Option(False, "--no-flash", help="Never write to a board, only verify."),
    speed: float = typer.Option(1.0, "--speed", help="Times the real pace, 1 to 20."),
    http_port: int = typer.Option(
        8000, "--http-port", min=0, max=65535, help="Of the page; 0: any that is free."
    ),
    no_browser: bool = typer.Option(False, "--no-browser", help="Only print the page's address."),
    trust_board: bool = TRUST_BOARD,
    json_: bool = typer.Option(
        False, "--json", help="Print the page's address and what it shows as JSON."
    ),
    *,
    reading: dict[str, Any],
) -> None:
    """Show a model at work: a page in the browser with signals, decisions and costs.

    Recordings of a subject go to the model sample by sample at their own pace;
    the page shows them, what the model says, how sure it is, and what a step costs.
    Only this computer can open the page, and nothing leaves it. Ctrl-C ends it.

    A board runs the model where one is named; each of its outputs is compared with
    the bit-exact reference. One that stops answering is asked again until it does.

    Examples:
      edgeflow live edgeflow-demo
      edgeflow live model.onnx
      edgeflow live model.onnx --data mine.csv --person 7 --speed 5
      edgeflow live model.onnx --board qemu-m4
      edgeflow live build --port /dev/ttyACM0 --http-port 0 --no-browser
    """
    from edgeflow.apps import live

    program, made = live.load_model(live.find_model(model))
    place = live.Place(board, port, runner, no_flash, trust_board)
    spec = live.board_of(made, place)
    samples = dataset.load(live.data_of(program, data), reading, program.window or None)
    show_page(
        program, made, spec, place, samples, person=person, speed=speed, http_port=http_port,
        browser=not no_browser, json_=json_,
    )  # fmt: skip


def show_page(
    program: "Program",
    made: "Build | Package | None",
    spec: "BoardSpec | None",
    place: "Place",
    samples: "Dataset",
    *,
    person: str | None = None,
    speed: float = 1.0,
    http_port: int,
    browser: bool,
    json_: bool,
) -> None:
    """Show a model at work until Ctrl-C; parameters of `edgeflow.apps.live.engine_of`."""
    from edgeflow.apps import live
    from edgeflow.apps.session import Session

    def ready(address: str) -> None:
        if json_:
            console.print_json(
                {
                    "address": address,
                    "model": program.hash.hex(),
                    "board": engine.name,
                    "data": samples.name,
                    "person": session.person,
                }
            )
        else:
            console.note(f"{samples.name}, subject {session.person}", label="data      ")
            console.note(f"{engine.name}: {engine.kind}", label="runs on   ")
            console.note(f"{address}  (Ctrl-C ends it)", label="page      ")
        if browser:
            # a thread of its own, as some browsers take the terminal until they end
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    with (
        console.progress() as bar,
        live.engine_of(program, made, spec, place, console.stages(bar)) as engine,
    ):
        bar.stop()
        session = Session(program, samples, engine, person=person)
        with contextlib.suppress(KeyboardInterrupt):  # the way to end it
            live.show(session, speed=speed, http_port=http_port, ready=ready)
    console.note("the page is closed")

"""``edgeflow live``: what is to be shown, found and started."""

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeflow.apps.engine import BoardEngine, Engine, Reference
from edgeflow.apps.player import Player
from edgeflow.apps.server import address_of, listen, serve
from edgeflow.apps.session import Session
from edgeflow.codegen.build import Build, compile_program
from edgeflow.codegen.package import RECORD, Package, load_made
from edgeflow.data import sources
from edgeflow.device import prepare
from edgeflow.errors import DataError, DeviceError, ProgramError
from edgeflow.program import Program
from edgeflow.progress import StageProgress, silent
from edgeflow.targets.board import BoardSpec, load_board

#: The program in a folder of ``edgeflow demo``, and what makes a folder one of a build.
_PROGRAM, _BUILD = "model.onnx", "build.json"


@dataclass(frozen=True)
class Place:
    """Where a model runs; parameters of `edgeflow.device.open_board`.

    Attributes
    ----------
    board : str or None
        None: that of the build; of a program the reference, without a board.
    port, runner : str or None
    no_flash, trust_board : bool
    """

    board: str | None = None
    port: str | None = None
    runner: str | None = None
    no_flash: bool = False
    trust_board: bool = False


def find_model(path: Path) -> Path:
    """Return the program or build that a path means: of a demo's folder its only build.

    Raises
    ------
    ProgramError
        If there is nothing of that kind.
    """
    if not path.is_dir() or (path / _BUILD).is_file() or (path / RECORD).is_file():
        return path
    builds = [one.parent for one in sorted(path.glob(f"*/{_BUILD}"))]
    if len(builds) == 1:
        return builds[0]
    if (path / _PROGRAM).is_file():
        return path / _PROGRAM
    what = "neither a program nor a build"
    if builds:
        what = f"several builds ({', '.join(one.name for one in builds)})"
    raise ProgramError(
        f"{path}: holds {what}: give a model.onnx, or a folder of 'edgeflow compile'"
    )


def data_of(program: Program, data: str | None) -> str:
    """Return the data set to show: `data`, or that which the program was made with.

    Raises
    ------
    DataError
        If neither is known here.
    """
    if data is not None:
        return data
    stored = program.metadata.get("data")
    if isinstance(stored, str) and stored in sources():
        return stored
    if isinstance(stored, str) and stored:
        raise DataError(
            f"the model was made with '{stored}', which is no data set known by name: say where "
            "its recordings are with --data (a .csv or .npz file, or a folder)"
        )
    raise DataError(
        "the model does not say which data it was made with: give recordings with --data (a name "
        "of 'edgeflow data list', a .csv or .npz file, or a folder)"
    )


def load_model(path: Path) -> tuple[Program, Build | Package | None]:
    """Return the program of a path that `find_model` found, and its build or export, if it is one.

    Raises
    ------
    EdgeFlowError
        If it cannot be read.
    """
    if not path.is_dir():
        return Program.load(path), None
    made = load_made(path)
    return made.program(), made


def board_of(made: Build | Package | None, place: Place) -> BoardSpec | None:
    """Return the board that is to run a model; None: the reference runs it.

    Raises
    ------
    EdgeFlowError
        If there is no such board, or options of one are given without it.
    """
    if made is not None:
        if isinstance(made, Package):
            made.check_port(place.port, place.runner)
        return made.spec(place.board, trust_board=place.trust_board)
    if place.board is not None:
        return load_board(place.board, trusted=place.trust_board)
    for name, given in (("--port", place.port), ("--runner", place.runner)):
        if given is not None:
            raise DeviceError(f"{name} {given}: say also which board is there, with --board")
    return None


@contextlib.contextmanager
def engine_of(
    program: Program,
    made: Build | Package | None,
    spec: BoardSpec | None,
    place: Place,
    progress: StageProgress = silent,
) -> Iterator[Engine]:
    """Yield what runs a program: the board that `board_of` gave, or the reference.

    A program that is to run on a board is compiled for it, in a folder that goes at the end.

    Raises
    ------
    EdgeFlowError
        If there is no tool for the board, or the program does not fit it.
    """
    if spec is None:
        yield Reference(program)
        return
    with contextlib.ExitStack() as stack:
        if made is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="edgeflow-live-"))
            made = compile_program(program, spec, Path(folder) / "build", progress=progress)
        if place.port is None:
            prepare(spec, progress)
        no_flash = place.no_flash or isinstance(made, Package)
        engine = BoardEngine(made, spec, port=place.port, runner=place.runner, no_flash=no_flash)
        stack.callback(engine.close)
        yield engine


def show(session: Session, *, speed: float, http_port: int, ready: Callable[[str], None]) -> None:
    """Serve the page of a session until a signal ends it.

    Parameters
    ----------
    session : Session
        Its engine is opened here.
    speed : float
        Multiple of the real pace, 1 to 20.
    http_port : int
        Of 127.0.0.1; 0: any free one.
    ready : callable
        Called with the address when the page is there.

    Raises
    ------
    AppError
        If the speed is outside, or the port taken.
    EdgeFlowError
        If the engine does not start.
    """
    player = Player(session, speed=speed)
    with listen(http_port) as listener:

        async def run() -> None:
            await player.open()
            await serve(player, listener, lambda: ready(address_of(listener)))

        try:
            asyncio.run(run())
        finally:
            player.close()

"""People label windows on a board: accuracy before and after, of each of them.

The board steps and learns, and what it learned must be the reference's, byte for byte, after each
person. The rest of a person's windows is decided by the reference, whose outputs are the board's;
the board steps some of them, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeflow.codegen.build import Build
from edgeflow.codegen.package import Package
from edgeflow.compression.replay import DRAWS, MODES, Features, gains, replays
from edgeflow.data import Dataset
from edgeflow.device import Client, open_board
from edgeflow.errors import CompressError, DeviceError
from edgeflow.profiling.learning import learning_cost
from edgeflow.program import Program
from edgeflow.program.learning import read_out
from edgeflow.progress import StageProgress, silent
from edgeflow.targets.board import BoardSpec

#: Windows of the rest that the board steps, too, for each person.
CHECKED = 5
#: Labels of each class that are counted on an emulated board.
ROUNDS = 3


@dataclass(frozen=True)
class AdaptOptions:
    """Labels of a person: `k` windows of each class, where `mode` says (`MODES`)."""

    k: int = 3
    mode: str = "spread"


def parse_adapt(text: str) -> AdaptOptions:
    """Return the options of a text like ``k=3,spread``.

    Raises
    ------
    DeviceError
        If a part is neither k=NUMBER nor a mode.
    """
    found: dict[str, Any] = {}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if name == "k" and equals and value.isdecimal() and 1 <= int(value) <= 1000:
            found["k"] = int(value)
        elif not equals and name in MODES:
            found["mode"] = name
        else:
            raise DeviceError(
                f"--adapt {text}: use k=NUMBER and {' or '.join(MODES)}, like k=3,spread"
            )
    return AdaptOptions(**found)


def adapt_build(
    build: Build | Package,
    dataset: Dataset,
    split: str,
    options: AdaptOptions,
    board: BoardSpec,
    place: Mapping[str, Any],
    *,
    progress: StageProgress = silent,
) -> dict[str, Any]:
    """Return what `adapt_on_board` does for a build, on a board that is opened for it.

    Of a board that is emulated here, with "cost" (`learning_cost`) besides. `place` are further
    arguments of `open_board`.
    """
    program = build.program()
    image = build.elf if isinstance(build, Build) else None
    with open_board(board, image=image, **place) as opened, opened.start(build.expected) as client:
        found = adapt_on_board(client, program, dataset, split, options, progress)
    if board.emulator is None or place.get("port") is not None:
        return found
    progress("counting what labels cost", 0, 0)
    windows = dataset.windows(split, length=program.window)
    classes = program.outputs
    index = [int(np.flatnonzero(windows.y == c)[0]) for c in np.unique(windows.y)][:classes]
    x = program.quantize_input(windows.x[index, -1])
    x, labels = np.tile(x, (ROUNDS, 1)), np.tile(windows.y[index], ROUNDS)
    return {**found, "cost": learning_cost(program, board, x, labels)}


def adapt_on_board(
    client: Client,
    program: Program,
    dataset: Dataset,
    split: str,
    options: AdaptOptions,
    progress: StageProgress = silent,
) -> dict[str, Any]:
    """Let everybody of a split label windows on a board.

    Returns
    -------
    dict
        "k", "mode", "draws"; "mismatches": people whose blob, and checked steps whose outputs, are
        not the reference's; "people": for each "before", "after" (shares of the rest, means over
        draws) and "windows".

    Raises
    ------
    ProgramError
        If the program does not learn.
    CompressError
        If nobody has enough windows.
    DeviceError
        If the board does not answer.
    """
    node = read_out(program)
    features = Features.of(program, dataset, split)
    windows = dataset.windows(split, length=program.window)
    found = gains(node, features, options.k, options.mode)
    wrong, people = 0, {}
    for number, gain in enumerate(found):
        progress("labelling on the board", number, len(found))
        run = next(replays(features, gain.person, options.k, options.mode), None)
        if run is None:
            raise CompressError(f"{gain.person} has too few windows")
        wrong += _mismatches(client, program, windows.x, windows.y, run.labelled, run.rest)
        people[gain.person] = {
            "before": gain.before, "after": gain.after, "windows": gain.windows,
        }  # fmt: skip
    draws = DRAWS if options.mode == "spread" else 1
    return {
        "k": options.k, "mode": options.mode, "draws": draws, "mismatches": wrong,
        "people": people,
    }  # fmt: skip


def _mismatches(
    client: Client, program: Program, x: np.ndarray, y: np.ndarray, labelled: np.ndarray,
    rest: np.ndarray,
) -> int:  # fmt: skip
    """Return what a board does otherwise than the reference for a person's windows."""
    state, wrong = program.initial_state(), 0
    client.forget()
    for index in labelled:
        window = program.quantize_input(x[index])
        client.steps(window, reset=True)
        client.learn(int(y[index]))
        _, state = program.run_on(window[None], program.reset(state))
        state = program.learn(state, int(y[index]))
    wrong += client.save_learned() != program.save_learned(state)
    for index in rest[:: max(1, len(rest) // CHECKED)][:CHECKED]:
        window = program.quantize_input(x[index])
        expected = program.run_on(window[None], program.reset(state))[0][0]
        wrong += int((client.steps(window, reset=True).y != expected).any(axis=1).sum())
    client.forget()
    return wrong

"""Layers on an emulated board: their instructions, and outputs that differ."""

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.bench.playback import Playback
from edgeflow.codegen.build import Build, compile_program
from edgeflow.codegen.choice import choose_kernels
from edgeflow.device import open_board
from edgeflow.errors import TargetError
from edgeflow.files import scratch_folder
from edgeflow.profiling.counts import Counts, read_counts
from edgeflow.profiling.models import estimate_cycles, load_cycle_model
from edgeflow.profiling.trace import DataCache, prepare_trace
from edgeflow.program import InputFormat, Program
from edgeflow.program.nodes import Node
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.elf import Image

_MEMORIES = ("flash", "ram")


@dataclass(frozen=True)
class Measurement:
    """Instructions, mismatches and code size of one layer on a board.

    Parameters
    ----------
    instructions : float
        Mean of a step, the call included.
    mismatches : int
        Steps of which any output differs from the bit-exact reference's.
    text_bytes : dict
        Code of each function of the image, by name.
    """

    instructions: float
    mismatches: int
    text_bytes: dict[str, int]


def measure_layer(
    node: Node, board: BoardSpec, x: NDArray[np.int16], kernel_sets: Sequence[str] | None = None
) -> Measurement:
    """Compile a layer for an emulated board and run it there.

    Parameters
    ----------
    node : Node
    board : BoardSpec
    x : int16 array [steps, inputs]
        Within the width that the node declares; one stream, from a reset.
    kernel_sets : sequence of str, optional
        Instead of the core's own preference.

    Raises
    ------
    TargetError
        If the board is not emulated, its emulator cannot count, or no kernel fits.
    ToolMissingError
        If compiler or emulator is not installed.
    DeviceError
        If the board does not answer.
    """
    program = program_of((_playback("input", x, node), node))
    nothing = np.zeros((len(x), 1), np.int16)
    with scratch_folder("bench") as folder:
        build, counts, y = run_program(program, board, folder, nothing, kernel_sets=kernel_sets)
        text = {s.name: s.size for s in Image(build.elf).symbols if s.kind == "STT_FUNC"}
    expected = program.run(nothing[None])[0]
    return Measurement(
        instructions=float(counts.layers[:, 1].mean()),
        mismatches=int((y != expected).any(axis=1).sum()),
        text_bytes=text,
    )


def measure_layers(
    layers: Sequence[tuple[Node, NDArray[np.int16]]],
    board: BoardSpec,
    kernels: Sequence[str | None] | None = None,
    *,
    backend: str = "auto",
    tvm_layers: Collection[int] | None = None,
) -> list[float]:
    """Count the instructions of layers that have nothing to do with each other, in few images.

    Outputs are not compared: `measure_layer` does that.

    Parameters
    ----------
    layers : sequence of (Node, int16 array [steps, inputs])
        Each with its own input, of equally many steps from a reset.
    board : BoardSpec
    kernels : sequence of str or None, optional
        The matvec kernel of each layer; None: the one that `edgeflow compile` chooses.
    backend : str
        As in :func:`edgeflow.codegen.build.compile_program`.
    tvm_layers : collection of int, optional
        Numbers of the layers whose step TVM writes; None: those that the backend chooses.

    Returns
    -------
    list of float
        Mean instructions per step of each layer, the call included.

    Raises
    ------
    TargetError, ToolMissingError, DeviceError
        As `measure_layer`.
    """
    return [
        float(mean)
        for counts, size in _measured(layers, board, kernels, backend, tvm_layers)
        for mean in counts.layers.mean(axis=0)[1 : 2 * size : 2]
    ]


def measure_cycles(
    layers: Sequence[tuple[Node, NDArray[np.int16]]],
    board: BoardSpec,
    kernels: Sequence[str | None] | None = None,
    *,
    backend: str = "auto",
) -> tuple[list[float], list[float] | None]:
    """Count the instructions of layers as `measure_layers`, and estimate their cycles.

    Returns
    -------
    instructions : list of float
        Mean per step of each layer.
    cycles : list of float or None
        Without wait states; None: the core's model has no figure of an instruction.
    """
    model = load_cycle_model(board.core.name)
    instructions: list[float] = []
    cycles: list[float] | None = None if model is None else []
    for counts, size in _measured(layers, board, kernels, backend, None):
        instructions += counts.layers.mean(axis=0)[1 : 2 * size : 2].tolist()
        found = None if model is None else estimate_cycles(counts, model, None)
        if cycles is None or found is None:
            cycles = None
        else:
            cycles += found.mean(axis=0)[1 : 2 * size : 2].tolist()
    return instructions, cycles


def _measured(
    layers: Sequence[tuple[Node, NDArray[np.int16]]],
    board: BoardSpec,
    kernels: Sequence[str | None] | None,
    backend: str,
    tvm_layers: Collection[int] | None,
) -> Iterator[tuple[Counts, int]]:
    """Yield the counts of each image and its number of layers: the second of each two counts."""
    names = kernels or [None] * len(layers)
    for part in _parts(layers, board):
        chain: list[Node] = []
        forced: dict[str, str] = {}
        width = 1
        for i in part:
            node = dataclasses.replace(layers[i][0], name=f"layer{i}")
            chain += [_playback(f"input{i}", layers[i][1], node, width), node]
            width = node.outputs
            name = names[i]
            if name is None:  # as in a program of its own
                choices = choose_kernels(program_of((node,)), board.core, backend=backend)
                forced |= {f"{c.layer}.{c.matrix}": c.kernel for c in choices}
            else:
                forced |= {f"{node.name}.{field}": name for field in node.products()}
        by_tvm = None
        if tvm_layers is not None:
            by_tvm = [f"layer{i}" for i in part if i in tvm_layers]
        chain.append(Playback("end", np.zeros(1, np.int16), 1, 1, 16, reads=width))
        program = program_of(tuple(chain))
        steps = len(layers[part[0]][1])
        with scratch_folder("bench") as folder:
            nothing = np.zeros((steps, 1), np.int16)
            _, counts, _ = run_program(
                program, board, folder, nothing,
                backend=backend, kernels=forced, tvm_layers=by_tvm,
            )  # fmt: skip
        yield counts, len(part)


def _parts(
    layers: Sequence[tuple[Node, NDArray[np.int16]]], board: BoardSpec
) -> Iterator[list[int]]:
    """Return the numbers of the layers, split such that an image fills half of the memories."""
    limits = [board.memory[name].size // 2 if board.memory else 1 << 24 for name in _MEMORIES]
    part: list[int] = []
    used = [0, 0]
    for i, (node, x) in enumerate(layers):
        # weights may be stored in 16 bits; a vector and what feeds it, states and scratch
        values = node.inputs + node.outputs + node.scratch + 2 * node.scratch32
        # sums, which flash has too, rows padded; x_hat
        sums = sum(4 * (matrix.rows + 16) for matrix in node.delta_matrices().values())
        states = [*node.states.values(), *node.held.values()]
        need = [
            2 * node.weight_bytes() + x.nbytes + sums,
            2 * values + sum(state.nbytes for state in states) + sums,
        ]
        if part and any(u + n > limit for u, n, limit in zip(used, need, limits, strict=True)):
            yield part
            part, used = [], [0, 0]
        part.append(i)
        used = [u + n for u, n in zip(used, need, strict=True)]
    if part:
        yield part


def _playback(name: str, x: NDArray[np.int16], node: Node, reads: int = 1) -> Playback:
    return Playback(name, x.reshape(-1), x.shape[1], len(x), node.input_bits, reads)


def program_of(nodes: tuple[Node, ...]) -> Program:
    """Return the program of a chain of layers, with an input of the first one's width."""
    ones = np.ones(nodes[0].inputs, np.float32)
    names = tuple(f"x{i}" for i in range(nodes[0].inputs))
    return Program(nodes, InputFormat(0 * ones, ones, nodes[0].input_bits, names), 1.0)


def run_program(
    program: Program,
    board: BoardSpec,
    folder: Path,
    x: NDArray[np.int16],
    *,
    data_cache: DataCache | None = None,
    **options: Any,
) -> tuple[Build, Counts, NDArray[np.int16]]:
    """Compile a program into `folder` and run one stream on an emulated board.

    Parameters
    ----------
    program : Program
    board : BoardSpec
    folder : path
    x : int16 array [steps, inputs]
        From a reset.
    data_cache : DataCache, optional
        As for :func:`edgeflow.profiling.trace.prepare_trace`.
    **options
        Of :func:`edgeflow.codegen.build.compile_program`.

    Returns
    -------
    Build, Counts, int16 array [steps, outputs]

    Raises
    ------
    TargetError, ToolMissingError, DeviceError
        As `measure_layer`.
    """
    if not board.emulated or board.emulator is None:
        raise TargetError(f"{board.name}: instructions are counted by an emulator: take a qemu-...")
    # what is measured is the emulated board, whatever its part could hold
    build = compile_program(program, board, folder, **{"any_part": True, **options})
    trace = prepare_trace(build.elf, folder, qemu=board.emulator, data_cache=data_cache)
    with open_board(board, image=build.elf, plugin=trace.plugin) as device:
        device.flash()
        with device.connect(program.hash) as client:
            y = client.steps(x, reset=True).y
    return build, read_counts(trace.out), y

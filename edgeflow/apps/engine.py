"""What runs the steps of a live session: the bit-exact reference, or a board."""

import abc
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeflow.apps.counter import StepCounter
from edgeflow.codegen.build import Build
from edgeflow.codegen.package import Package
from edgeflow.device import Board, Client, open_board
from edgeflow.device.protocol import NANOSECONDS
from edgeflow.errors import DeviceError, EdgeFlowError
from edgeflow.profiling.models import CycleModel, estimate_cycles, load_cycle_model
from edgeflow.profiling.timing import worst_of_both
from edgeflow.program import Program
from edgeflow.program.nodes.base import State
from edgeflow.program.reader import Reader
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.part import Part, estimated_part


@dataclass(frozen=True)
class Costs:
    """Costs of n steps, float64 [n] each; None where they are not known.

    Attributes
    ----------
    instructions
        Exact, of an emulated board.
    cycles
        Of the board's counter, or estimated of its instructions.
    microjoules
        Estimated of the cycles.
    microseconds
        Of the step alone.
    """

    instructions: NDArray[np.float64] | None = None
    cycles: NDArray[np.float64] | None = None
    microjoules: NDArray[np.float64] | None = None
    microseconds: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Answer:
    """Outputs of n steps, int16 [n, outputs], and what they cost."""

    y: NDArray[np.int16]
    costs: Costs = Costs()


#: Windows of which the reference runs at once.
_SIDE_BY_SIDE = 1024
#: Samples int16 [n, inputs], and whether the state is cleared before the first of them.
Segment = tuple[NDArray[np.int16], bool]


class Engine(abc.ABC):
    """Runs steps in order, in one thread: the one that first called `open`.

    Attributes
    ----------
    name : str
        Of the board; "reference" where there is none.
    kind : str
        What it is, in a sentence.
    costs_note : str
        Where its costs are from, or what would give some.
    """

    name = "reference"
    kind = "the bit-exact reference on this computer"
    costs_note = "no board runs the model; with one, as by --board qemu-m4, each step has its costs"

    @abc.abstractmethod
    def open(self) -> None:
        """Start it, or start it again after an error; the model's state is lost.

        Raises
        ------
        EdgeFlowError
            If the board is gone or does not answer.
        """

    @abc.abstractmethod
    def steps(self, segments: Sequence[Segment]) -> Answer:
        """Run segments in order.

        Raises
        ------
        EdgeFlowError
            As `open`; then it has to be opened again.
        """

    @abc.abstractmethod
    def learn(self, label: int) -> None:
        """Learn that the window which was just read to its end is of a class; errors as `steps`."""

    @abc.abstractmethod
    def forget(self) -> None:
        """Return to the trained model; errors as `steps`."""

    @abc.abstractmethod
    def load(self, blob: bytes) -> None:
        """Take what was learned (`Program.save_learned`); errors as `steps`."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of what it holds; may be called again, and while another thread waits for it."""


class Reference(Engine):
    """A program stepped by its bit-exact reference.

    Parameters
    ----------
    program : Program

    Attributes
    ----------
    held : bool [n]
        Of each of the last `steps`, whether an early exit had decided.
    """

    def __init__(self, program: Program) -> None:
        self._program, self._reader = program, Reader(program)
        self.held = np.zeros(0, bool)

    def open(self) -> None:
        self._reader = Reader(self._program)

    def learn(self, label: int) -> None:
        self._reader.state = self._program.learn(self._reader.state, label)

    def forget(self) -> None:
        self._reader.state = self._program.forget(self._reader.state)

    def load(self, blob: bytes) -> None:
        self._reader.state = self._program.load_learned(blob, self._reader.state)

    def save(self) -> bytes:
        """Return what was learned."""
        return self._program.save_learned(self._reader.state)

    def steps(self, segments: Sequence[Segment]) -> Answer:
        program = self._program
        n = sum(len(x) for x, _ in segments)
        y, held, at = np.empty((n, program.outputs), np.int16), np.zeros(n, bool), 0
        for x, reset in segments:
            if reset:
                self._reader.reset()
            for sample in x:
                out = self._reader.step(sample[None])
                y[at], held[at] = out[0], np.all(_held(program, self._reader.state))
                at += 1
        self.held = held
        return Answer(y)

    def close(self) -> None:
        pass


def run_windows(
    program: Program, x: NDArray[np.int16]
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Run windows side by side, which gives the same bits as one after another.

    Parameters
    ----------
    x : int16 array [n, time, inputs]

    Returns
    -------
    int16 array [n, time, outputs], bool array [n, time]
        Outputs, and whether an early exit had decided.
    """
    y = np.empty((*x.shape[:2], program.outputs), np.int16)
    held = np.zeros(x.shape[:2], bool)
    for start in range(0, len(x), _SIDE_BY_SIDE):
        rows = slice(start, start + _SIDE_BY_SIDE)
        state = program.initial_state(len(x[rows]))
        for t in range(x.shape[1]):
            y[rows, t], state = program.step(x[rows, t], state)
            held[rows, t] = _held(program, state)
    return y, held


def _held(program: Program, state: Sequence[State]) -> NDArray[np.bool_] | np.bool_:
    return np.False_ if program.cutoff is None else state[-1]["count"][:, 0] < 0


class BoardEngine(Engine):
    """A build on its board, emulated or real, through the serial protocol.

    Parameters
    ----------
    build : Build or Package
    spec : BoardSpec
        Its board.
    port, runner, no_flash
        As of `edgeflow.device.open_board`.
    """

    def __init__(
        self,
        build: Build | Package,
        spec: BoardSpec,
        *,
        port: str | None = None,
        runner: str | None = None,
        no_flash: bool = False,
    ) -> None:
        self._build, self._spec = build, spec
        self._place = {"port": port, "runner": runner, "no_flash": no_flash}
        self.name, self.kind = spec.name, spec.description
        self._part = estimated_part(spec)
        self._counter: StepCounter | None = None
        self._model: CycleModel | None = None
        self._board: Board | None = None
        self._client: Client | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._closed = False
        self.costs_note = "this board has no counter of cycles"
        if spec.emulator is not None and port is None and isinstance(build, Build):
            self._count(build, spec.emulator)

    def _count(self, build: Build, qemu: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="edgeflow-live-")
        cache = self._part.data_cache if self._part is not None else None
        try:
            self._counter = StepCounter(
                build.elf, Path(self._folder.name), qemu, cache, overlap=build.program().hop > 0
            )
        except EdgeFlowError as error:
            self.costs_note = f"instructions are not counted: {error}"
            return
        self.costs_note = "exact instructions, counted by the emulator"
        if self._part is not None:
            self._model = load_cycle_model(self._spec.core.name)
        if self._model is not None and self._part is not None:
            off = self._model.error_percent
            self.costs_note += f"; cycles estimated by {self._model.name}{_within(off)}"
            self.costs_note += _energy(self._part, off)

    def open(self) -> None:
        self._stop()
        if self._closed:
            return
        build = self._build
        image = build.elf if isinstance(build, Build) else None
        plugin = None if self._counter is None else self._counter.start()
        self._board = open_board(self._spec, image=image, plugin=plugin, **self._place)  # type: ignore[arg-type]
        expected = replace(build.expected, model_hash=bytes.fromhex(build.model_hash))
        self._client = self._board.start(expected)
        self._place["no_flash"] = True  # what comes back is asked what it runs, not written to
        if self._closed:  # meanwhile
            self._stop()
            return
        hello = self._client.hello
        self.name = hello.board
        if self._counter is None and hello.cycles_hz == NANOSECONDS:
            self.costs_note = "time measured by the clock of the board's system"
        elif self._counter is None and hello.cycles_hz:
            self.costs_note = "cycles measured by the board"
            if self._part is not None:
                self.costs_note += _energy(self._part, 0.0)

    def learn(self, label: int) -> None:
        self._connected().learn(label)

    def forget(self) -> None:
        self._connected().forget()

    def load(self, blob: bytes) -> None:
        self._connected().load_learned(blob)

    def _connected(self) -> Client:
        if self._client is None:
            raise DeviceError(f"{self.name}: the board is closed")
        return self._client

    def steps(self, segments: Sequence[Segment]) -> Answer:
        client, y, cycles = self._connected(), [], []
        for x, reset in segments:
            result = client.steps(x, reset=reset)
            y.append(result.y)
            if result.cycles is not None:
                cycles.append(result.cycles)
        outputs = np.concatenate(y) if y else np.zeros((0, client.hello.outputs), np.int16)
        return Answer(outputs, self._costs(len(outputs), cycles))

    def _costs(self, steps: int, counted: list[NDArray[np.uint32]]) -> Costs:
        """Return the costs of the steps that just ran, as `edgeflow profile` prices them."""
        if self._counter is not None:
            counts = self._counter.take(steps)
            if counts is None:
                return Costs()
            instructions = counts.instructions.astype(np.float64)
            cycles = None
            if self._model is not None:
                layers = estimate_cycles(counts, self._model, self._part)
                cycles = None if layers is None else layers.sum(axis=1)
            clock = self._part.clock_hz if self._part is not None else 0
            return self._priced(instructions, cycles, clock)
        assert self._client is not None
        hz = self._client.hello.cycles_hz
        if not counted or not hz:
            return Costs()
        ticks = np.concatenate(counted).astype(np.float64)
        if hz == NANOSECONDS:
            return Costs(microseconds=ticks / 1e3)
        return self._priced(None, ticks, hz)

    def _priced(
        self,
        instructions: NDArray[np.float64] | None,
        cycles: NDArray[np.float64] | None,
        clock_hz: int,
    ) -> Costs:
        if cycles is None:
            return Costs(instructions)
        energy = self._part.energy if self._part is not None else None
        joules = None if energy is None else cycles * energy.pj_per_cycle / 1e6
        return Costs(instructions, cycles, joules, cycles * 1e6 / clock_hz if clock_hz else None)

    def _stop(self) -> None:
        board, self._board, self._client = self._board, None, None
        if board is not None:
            board.close()

    def close(self) -> None:
        self._closed = True
        self._stop()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _energy(part: Part, cycles_error: float | None) -> str:
    """Return which part figures are for, and where its energy is from."""
    if part.energy is None:
        return f" for {part.description}"
    error = worst_of_both(cycles_error, part.energy_error_percent)
    pj = part.energy.pj_per_cycle
    return f", energy by {pj:g} pJ/cycle{_within(error)}, of {part.description}"


def _within(error: float | None) -> str:
    return "" if error is None else f" (±{error:.0f} %)"

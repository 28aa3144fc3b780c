"""Which programs run as compiled C, and running them: the bits are those of numpy either way."""

import ctypes
import os
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import ProgramError
from edgeflow.program.fixedpoint import Ints
from edgeflow.program.lanes import library
from edgeflow.program.lanes.library import NoLibraryError
from edgeflow.program.lanes.source import Source, source_of
from edgeflow.program.lanes.trace import Step, trace
from edgeflow.program.nodes.base import State

if TYPE_CHECKING:
    from edgeflow.program.program import Program

#: Names what runs programs: one of `CHOICES`.
VARIABLE = "EDGEFLOW_SIMULATOR"
#: By the work; numpy; compiled C, or an error.
CHOICES = ("auto", "numpy", "lanes")
#: Seconds that a trace of a node takes, at most: less work is not worth it.
_TRACE = 5e-3
#: Seconds of numpy, of all runs of programs of one structure, that a build is worth: it takes twice
#: as long, once for all processes.
_BUILD = 0.4
#: Seconds of numpy: a node's step, one of its multiplications, one of its values.
_STEP, _PRODUCT, _VALUE = 50e-6, 0.25e-9, 10e-9
#: Steps of a window at once: an interrupt waits for them.
_STEPS = 1 << 16
#: Windows at once.
_WINDOWS = 1 << 12


@dataclass(frozen=True)
class Simulator:
    """A program's step, ready to be built and run."""

    step: Step
    source: Source

    def run(
        self, program: "Program", x: NDArray[np.int16], state: Sequence[State]
    ) -> tuple[NDArray[np.int16], list[State]]:
        """Return outputs and next states, as `Program.run_on`.

        Raises
        ------
        NoLibraryError
            If the C cannot be built.
        """
        run = library.function_of(self.source.text)
        n, time, _ = x.shape
        held = _joined(program, state, n)
        y = np.empty((n, time, program.outputs), dtype=np.int16)
        constants = self.source.constants
        pointers = (ctypes.c_void_p * max(1, len(constants)))(*(c.ctypes.data for c in constants))
        for first in range(0, n, _WINDOWS):
            rows = slice(first, first + _WINDOWS)
            part = np.ascontiguousarray(held[rows])
            for start in range(0, time, _STEPS):
                given = np.ascontiguousarray(x[rows, start : start + _STEPS])
                whole = len(given) == n and given.shape[1] == time
                to = y if whole else np.empty((*given.shape[:2], program.outputs), np.int16)
                if run(given.ctypes.data, to.ctypes.data, *given.shape[:2], part.ctypes.data,
                       pointers):  # fmt: skip
                    raise MemoryError
                if not whole:
                    y[rows, start : start + _STEPS] = to
            held[rows] = part
        return y, _split(program, held)


def simulate(
    program: "Program", x: NDArray[np.int16], state: Sequence[State]
) -> tuple[NDArray[np.int16], list[State]] | None:
    """Return outputs and next states as of `Program.run_on`; None where numpy should run it.

    Raises
    ------
    ProgramError
        If `VARIABLE` asks for what is not possible.
    """
    choice = os.environ.get(VARIABLE, "") or CHOICES[0]
    if choice not in CHOICES:
        raise ProgramError(f"{VARIABLE} is '{choice}': use one of {', '.join(CHOICES)}")
    seconds = _numpy_seconds(program, *x.shape[:2])
    if (
        choice == "numpy"
        or 0 in x.shape
        or (choice == "auto" and seconds < _TRACE * len(program.nodes) and _known(program) is None)
    ):
        return None
    found = simulator_of(program)
    try:
        if isinstance(found, str):
            raise NoLibraryError(found)
        if choice == "auto" and not _worth_it(found.source.text, seconds):
            return None
        if not _within(program, found.step, state):
            return None
        return found.run(program, x, state)
    except NoLibraryError as error:
        if choice == "auto":
            if not isinstance(found, str):
                _failed.add(hash(found.source.text))
            return None
        raise ProgramError(f"{VARIABLE} is '{choice}', and {error}") from None


def simulator_of(program: "Program") -> Simulator | str:
    """Return what runs a program, or why only numpy does."""
    known = _known(program)
    if known is not None:
        return known
    try:
        step = trace(program)
        made: Simulator | str = Simulator(step, source_of(step))
    except ProgramError as error:
        made = str(error)
    with _lock:
        number = id(program)
        _simulators[number] = (weakref.ref(program, lambda _: _simulators.pop(number, None)), made)
    return made


def _known(program: "Program") -> Simulator | str | None:
    with _lock:
        known = _simulators.get(id(program))
        return known[1] if known is not None and known[0]() is program else None


_lock = threading.RLock()
_simulators: dict[int, tuple[Any, Simulator | str]] = {}
#: Seconds that numpy took for programs of each source, which has no library yet.
_spent: dict[int, float] = {}
#: Sources that could not be built: nobody tries again.
_failed: set[int] = set()


def _worth_it(text: str, seconds: float) -> bool:
    """Tell whether there is a library, or time enough went by without it."""
    key = hash(text)
    if key in _failed:
        return False
    with _lock:
        if _spent.get(key, 0.0) + seconds >= _BUILD:
            return True
    if library.is_built(text):
        return True
    with _lock:
        _spent[key] = _spent.get(key, 0.0) + seconds
    return False


def _numpy_seconds(program: "Program", n: int, time: int) -> float:
    values = sum(node.inputs + node.outputs for node in program.nodes)
    return time * (len(program.nodes) * _STEP + n * (program.macs * _PRODUCT + values * _VALUE))


def _names(program: "Program") -> list[list[tuple[str, int]]]:
    """Return names and sizes of each node's states, in order."""
    return [
        [(name, vector.size) for name, vector in node.vectors.items()] for node in program.nodes
    ]


def _joined(program: "Program", state: Sequence[State], n: int) -> Ints:
    """Return states as [n, all of them]."""
    parts = [
        own[name] for own, names in zip(state, _names(program), strict=True) for name, _ in names
    ]
    return np.concatenate([np.zeros((n, 0), np.int64), *parts], axis=1).astype(np.int64)


def _split(program: "Program", held: Ints) -> list[State]:
    found, first = list[State](), 0
    for names in _names(program):
        found.append({})
        for name, size in names:
            found[-1][name] = held[:, first : first + size]
            first += size
    return found


def _within(program: "Program", step: Step, state: Sequence[State]) -> bool:
    """Tell whether states are what their widths allow, and the trace took for granted."""
    known = iter(step.intervals)
    for own, names in zip(state, _names(program), strict=True):
        for name, _ in names:
            (low, high), value = next(known), own[name]
            if value.min() < low or value.max() > high:
                return False
    return True

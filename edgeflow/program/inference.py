"""A program's answers in the user's terms: raw samples in, labels or real values out."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow.errors import ProgramError
from edgeflow.program.reader import Reader
from edgeflow.program.show import name_list
from edgeflow.samples import as_float32
from edgeflow.tasks.output import real_values

if TYPE_CHECKING:
    from edgeflow.program.program import Program

#: Outputs int16 [n, time, outputs] of int16 [n, time, inputs], each of the n from a reset.
Run = Callable[[NDArray[np.int16]], NDArray[np.int16]]


def predict(program: "Program", x: ArrayLike, run: Run | None = None) -> NDArray[Any]:
    """Return labels or values, as `Program.predict`; by `run` rather than the reference."""
    task = program.task
    return task.answer(task.decide(_answers(program, x, run), program.scaling))


def values(program: "Program", x: ArrayLike, run: Run | None = None) -> NDArray[np.float64]:
    """Return outputs in real units, of the same answers."""
    return real_values(_answers(program, x, run), program.scaling)


def _answers(program: "Program", x: ArrayLike, run: Run | None) -> NDArray[np.int16]:
    """Return the outputs [..., outputs] for each window of x or, without windows, each sample."""
    raw = as_float32(x, f"samples {_expected(program)}")
    single, window = raw.ndim == 2, program.window
    shape, overlap = list(raw.shape), program.overlap
    if single and overlap is not None and len(raw) >= window and shape[1] == program.inputs:
        y = overlap.run(run or program.run, program.quantize_input(raw[None]))
        return y[0, overlap.first - 1 :: overlap.hop]
    if single and window:
        raw = raw[: len(raw) // window * window].reshape(-1, window, raw.shape[1])
    elif single:
        raw = raw[None]
    fits = raw.ndim == 3 and raw.shape[2] == program.inputs and 0 not in raw.shape
    if not fits or (window and raw.shape[1] != window):
        raise ProgramError(f"samples must be {_expected(program)}, not {shape}")
    y = (run or program.run)(program.quantize_input(raw))
    if window:  # an early exit holds its outputs until then
        return y[:, -1]
    return y[0] if single else y


def _expected(program: "Program") -> str:
    n, window = program.inputs, program.window
    shape = f"[n, {window or 'time'}, {n}]"
    least = f" with {window} samples or more" if window else ""
    return f"{shape}, or one recording [time, {n}]{least}, of {name_list(program.input.channels)}"


class Stream:
    """A program fed one sample at a time, as on the board.

    A program with windows starts anew after each one's last sample; of windows that overlap
    (`Overlap`) two are read at a time.

    Parameters
    ----------
    program : Program

    Attributes
    ----------
    samples : int
        Read since the reset; of windows that overlap those that the last answer is made of.
    values : float64 array [outputs]
        The outputs after the last sample, in real units; zeros after a reset.
    """

    def __init__(self, program: "Program") -> None:
        self._program, self._task = program, program.task
        self._reader = Reader(program)
        self.reset()

    def reset(self) -> None:
        """Forget all samples."""
        self._reader.reset()
        self.values: NDArray[np.float64] = np.zeros(self._program.outputs)

    @property
    def samples(self) -> int:
        return self._reader.read

    @property
    def decided(self) -> bool:
        """True if the answer stands: at the end of a window or a hop, or from an early exit on."""
        program, samples = self._program, self.samples
        if program.hop:
            return self._reader.due
        cutoff = program.cutoff
        early = cutoff is not None and bool(self._reader.state[-1]["count"][0, 0] < 0)
        return samples > 0 and (early or samples >= program.window)

    def step(self, sample: ArrayLike) -> str | float | NDArray[np.float64]:
        """Read a raw sample [channels]; return what `Program.predict` would answer so far.

        Raises
        ------
        ProgramError
            If the sample has another shape or is not numbers.
        """
        program = self._program
        expected = f"[{program.inputs}] of {name_list(program.input.channels)}"
        raw = as_float32(sample, f"a sample: values {expected}")
        if raw.shape != (program.inputs,):
            raise ProgramError(f"a sample must be {expected}, not {list(raw.shape)}")
        if program.window and self.samples >= program.window and not program.hop:
            self.reset()
        y = self._reader.step(program.quantize_input(raw[None]))
        self.values = real_values(y[0], program.scaling)
        found = np.asarray(self._task.answer(self._task.decide(y[0], program.scaling)))
        answer: str | float | NDArray[np.float64] = found if found.ndim else found.item()
        return answer

    def __repr__(self) -> str:
        return f"Stream({self._program!r}; {self.samples} samples since the reset)"

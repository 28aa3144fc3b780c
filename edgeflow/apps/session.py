"""A live session: whose recordings are stepped, how far, and what each step gives."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.apps.engine import Answer, Engine, Reference, Segment, run_windows
from edgeflow.data import Dataset, Sequences, choose_sequences
from edgeflow.data.dataset import sort_people
from edgeflow.errors import AppError, DataError
from edgeflow.exporting.web_page import short, training_statistics
from edgeflow.program import Program

#: Speeds that a page may ask for, as multiples of the real pace.
SLOWEST, FASTEST = 1.0, 20.0
#: Samples per second of data that do not say it.
DEFAULT_RATE = 50.0


@dataclass(frozen=True)
class Batch:
    """Steps that ran one after another: arrays of one row per step.

    Attributes
    ----------
    first : int
        Number of the first of them since the last restart, from 0.
    x : float32 [n, channels]
        Raw samples.
    y : int16 [n, outputs]
    sequence, position : int64 [n]
        Which window or recording a sample is of, from 0, and its place in it, from 0.
    length : int64 [n]
        Samples of that sequence.
    held : bool [n]
        Whether an early exit had decided before or with this sample.
    mismatches : int
        Steps whose outputs differed from the reference's, since then.
    answer : Answer
    """

    first: int
    x: NDArray[np.float32]
    y: NDArray[np.int16]
    sequence: NDArray[np.int64]
    position: NDArray[np.int64]
    length: NDArray[np.int64]
    held: NDArray[np.bool_]
    mismatches: int
    answer: Answer

    def __len__(self) -> int:
        return len(self.y)


class Session:
    """Recordings of a subject, stepped by an engine, and again from the first after the last.

    Parameters
    ----------
    program : Program
    dataset : Dataset
    engine : Engine
        Opened by the caller; each step of it is compared with the reference.
    people : sequence of str, optional
        Subjects to choose from; default: those of the data set's test split.
    person : str, optional
        Whose recordings are stepped first; default: the first of `people`. Anybody in the data set;
        who is not in `people` is added to them.

    Attributes
    ----------
    people : list of str
    person : str
    number : int
        Counts the subjects chosen and the restarts.
    done : int
        Steps since the last of these.
    rate_hz : float
        Samples per second of real time.
    labels : list of int
        Labels that were learned of each class; empty of a program that learns of none.

    Raises
    ------
    DataError
        If there is nobody to show, no such person, or the data are not the model's.
    """

    def __init__(
        self,
        program: Program,
        dataset: Dataset,
        engine: Engine,
        *,
        people: Sequence[str] | None = None,
        person: str | None = None,
    ) -> None:
        self.program, self.dataset, self.engine = program, dataset, engine
        self.rate_hz = program.rate_hz or dataset.rate_hz or DEFAULT_RATE
        everybody = sort_people({one.person for one in dataset.recordings})
        if person is not None and person not in everybody:
            raise DataError(
                f"data set '{dataset.name}' has no subject '{person}': choose one of "
                f"{', '.join(everybody)}"
            )
        chosen = dataset.people["test"] if people is None else people
        self.people = sort_people(set(chosen) & set(everybody) | ({person} if person else set()))
        if not self.people:
            raise DataError(
                f"data set '{dataset.name}' has no test subjects: name whose recordings are shown "
                f"with --person (there are {', '.join(everybody)})"
            )
        self._oracle = Reference(program)
        self.labels = [0] * (len(program.classes) if program.learns else 0)
        self._found: dict[str, Sequences] = {}
        self.number = self.done = self.mismatches = 0
        self.person = ""
        self.choose(person or self.people[0])

    def choose(self, person: str) -> None:
        """Begin with the first recording of a subject.

        Raises
        ------
        AppError
            If it is none of `people`.
        DataError
            If no recording of theirs is as long as a window.
        """
        if person not in self.people:
            raise AppError(f"no subject '{person}' is offered: {', '.join(self.people)} are")
        if person not in self._found:
            only = replace(self.dataset, people={"train": [], "val": [], "test": [person]})
            self._found[person] = choose_sequences(self.program, only, "test")
        self.person = person
        self._sequences = self._found[person]
        self._integers: dict[int, NDArray[np.int16]] = {}
        self._known: tuple[NDArray[np.int16], NDArray[np.bool_]] | None = None
        fixed = not self.program.adapts  # else what is learned changes the outputs
        if fixed and not self._sequences.stream and not isinstance(self.engine, Reference):
            x = np.stack([self._ints(i) for i in range(len(self._sequences.x))])
            self._known = run_windows(self.program, x)
        self.restart()

    def restart(self) -> None:
        """Begin with the first recording of the subject again."""
        self._at = (0, 0)  # sequence, position
        self.number += 1
        self.done = self.mismatches = 0

    @property
    def steps(self) -> int:
        """Samples of the subject's windows or recordings."""
        return self._sequences.steps

    def open(self) -> None:
        """Start the engine, with nothing learned, whatever a board kept in its flash.

        Raises
        ------
        EdgeFlowError
            As `Engine.open`.
        """
        self.engine.open()
        if self.program.adapts:
            self.engine.forget()

    def recover(self) -> None:
        """Open the engine again, and give it the samples since the last reset of the state again.

        Raises
        ------
        EdgeFlowError
            As `Engine.open`.
        """
        self.open()
        if any(self.labels):
            self.engine.load(self._oracle.save())
        elif self.program.adapts:
            self._oracle.open()  # the board has lost what it learned by itself
        for engine in self._engines() if self.program.adapts else [self.engine]:
            self._read_again(engine)

    def label(self, number: int) -> None:
        """Learn that the window which ended last is of a class.

        It is read again, as is what came of the next one since.

        Raises
        ------
        AppError
            If there is no such class, or no window has ended yet.
        EdgeFlowError
            As `Engine.steps`; then it was not learned.
        """
        if not 0 <= number < len(self.labels):
            raise AppError(
                f"no class {number} to learn: there are {len(self.labels)}"
                if self.labels
                else "this model does not learn from labels: compress it with --adapt prototypes"
            )
        sequence, position = self._at
        if self.done <= position:
            raise AppError("no window has ended yet: label one when it has")
        ended = (sequence - 1) % len(self._sequences.x)
        for engine in self._engines():
            engine.steps([(self._ints(ended), True)])
            engine.learn(number)
            self._read_again(engine)
        self.labels[number] += 1

    def forget(self) -> None:
        """Forget all labels; errors as of `Engine.steps`."""
        for engine in self._engines() if self.labels else []:
            engine.forget()
        self.labels = [0] * len(self.labels)

    def _engines(self) -> list[Engine]:
        """Return what learns: the board first, as it may fail."""
        return [self.engine] if isinstance(self.engine, Reference) else [self.engine, self._oracle]

    def _read_again(self, engine: Engine) -> None:
        """Give an engine the samples since the last reset of the state."""
        sequence, position = self._at
        if position:
            engine.steps([(self._ints(sequence)[:position], True)])

    def advance(self, n: int) -> Batch:
        """Run n steps, which count only if all of them ran.

        Raises
        ------
        EdgeFlowError
            As `Engine.steps`; after `recover` the same steps can be asked for again.
        """
        parts = list(self._parts(n))
        segments: list[Segment] = [
            (self._ints(sequence)[start:stop], start == 0) for sequence, start, stop in parts
        ]
        answer = self.engine.steps(segments)
        expected, held = self._expected(parts, segments, answer)
        self.mismatches += int((answer.y != expected).any(axis=1).sum())
        x = self._sequences.x
        rows = [(sequence, t, len(x[sequence])) for sequence, a, b in parts for t in range(a, b)]
        place = np.array(rows, np.int64).reshape(-1, 3)
        batch = Batch(
            self.done,
            np.concatenate([x[sequence][a:b] for sequence, a, b in parts]),
            answer.y,
            place[:, 0],
            place[:, 1],
            place[:, 2],
            held,
            self.mismatches,
            answer,
        )
        self.done += n
        sequence, _, stop = parts[-1]
        self._at = (sequence, stop)
        if stop == len(x[sequence]):
            self._at = ((sequence + 1) % len(x), 0)
        return batch

    def _expected(
        self, parts: Sequence[tuple[int, int, int]], segments: Sequence[Segment], answer: Answer
    ) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """Return the reference's outputs, and whether an early exit had decided."""
        if isinstance(self.engine, Reference):
            return answer.y, self.engine.held
        if self._known is None:  # a recording may be too long to be run in advance
            y = self._oracle.steps(segments).y
            return y, self._oracle.held
        y, held = self._known
        return (
            np.concatenate([y[i, a:b] for i, a, b in parts]),
            np.concatenate([held[i, a:b] for i, a, b in parts]),
        )

    def _parts(self, n: int) -> Iterator[tuple[int, int, int]]:
        """Return the next n samples as (sequence, from, to)."""
        sequence, position = self._at
        while n > 0:
            stop = min(position + n, len(self._sequences.x[sequence]))
            yield sequence, position, stop
            n -= stop - position
            sequence, position = (sequence + 1) % len(self._sequences.x), 0

    def _ints(self, sequence: int) -> NDArray[np.int16]:
        if sequence not in self._integers:
            self._integers[sequence] = self.program.quantize_input(self._sequences.x[sequence])
        return self._integers[sequence]

    # ---- in the page's terms

    def hello(self) -> dict[str, Any]:
        """Return what a page has to know before the first step; JSON values."""
        program, dataset = self.program, self.dataset
        return {
            "type": "hello",
            "model": program.hash.hex(),
            "task": program.task.name,
            "classes": list(program.classes),
            "labels": list(program.classes or dataset.classes),
            "outputs": program.outputs,
            "output_names": list(program.task.outputs),
            "output_units": list(program.output.units) if program.output else [],
            "output_scale": program.output_scale,
            "channels": list(program.input.channels),
            "units": list(dataset.units),
            "rate_hz": self.rate_hz,
            # windows that overlap are no pieces of a recording
            "window": 0 if program.hop else program.window,
            "warmup": self._sequences.warmup,
            "hop": program.hop or 1,
            "early_exit": program.cutoff is not None,
            "data": dataset.name,
            "people": self.people,
            "unseen": [one for one in self.people if one in dataset.people["test"]],
            "person": self.person,
            "speeds": [SLOWEST, FASTEST],
            "board": {
                "name": self.engine.name,
                "description": self.engine.kind,
                "costs": self.engine.costs_note,
                "checked": not isinstance(self.engine, Reference),
            },
            "labelled": True,
            "learns": program.learns,
            "training": self._training,
        }

    @cached_property
    def _training(self) -> dict[str, Any] | None:
        """Return mean and standard deviation of each channel over the training subjects."""
        train = set(self.dataset.people["train"])
        parts = [one.x for one in self.dataset.recordings if one.person in train and len(one.x)]
        if not parts:
            return None
        return training_statistics(np.concatenate(parts))

    def message(self, batch: Batch) -> dict[str, Any]:
        """Return a batch as the page reads it; JSON values, a list has an entry for each step."""
        program, costs = self.program, batch.answer.costs
        task = program.task
        decided = task.decide(batch.y, program.scaling)
        classes = bool(program.classes)
        sure = program.confidence(batch.y).round(4).tolist() if classes else None
        return {
            "type": "steps",
            "session": self.number,
            "first": batch.first,
            "x": [short(row) for row in batch.x],
            "y": batch.y.tolist(),
            "decision": decided.tolist() if classes else [short(row) for row in decided],
            "confidence": sure,
            "truth": [self._truth(*at) for at in zip(batch.sequence, batch.position, strict=True)],
            "sequence": batch.sequence.tolist(),
            "position": batch.position.tolist(),
            "length": batch.length.tolist(),
            "held": batch.held.tolist(),
            "mismatches": batch.mismatches,
            "instructions": _numbers(costs.instructions),
            "cycles": _numbers(costs.cycles),
            "uj": _numbers(costs.microjoules),
            "us": _numbers(costs.microseconds),
        }

    def _truth(self, sequence: int, position: int) -> Any:
        by_step = self._sequences.by_step
        found = self._sequences.y[sequence] if by_step is None else by_step[sequence][position]
        value = np.asarray(found)
        if value.dtype.kind in "iu":
            return int(value)
        # targets may go on with what only scores need
        return short(value.reshape(-1)[: self.program.outputs])


def _numbers(values: NDArray[np.float64] | None) -> list[float | None] | None:
    return None if values is None else short(values)

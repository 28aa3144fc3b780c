"""The walk from input to output of an imported graph, for all kinds of sources."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeflow.cells.accumulate import Accumulate
from edgeflow.cells.chain import FloatChain
from edgeflow.cells.rate import clocks_of
from edgeflow.errors import CompressError
from edgeflow.importers.assembly import Assembly
from edgeflow.importers.attention import pooled
from edgeflow.importers.axes import axes_of, channels_taken
from edgeflow.importers.check import check_output, listed, samples
from edgeflow.importers.difference import first_difference
from edgeflow.importers.ends import find_ends
from edgeflow.importers.finish import Description, finished
from edgeflow.importers.loops import carried, rolled
from edgeflow.importers.messages import one_line
from edgeflow.importers.operation import SUMS, Operation
from edgeflow.importers.outputs import in_a_row, usual
from edgeflow.importers.points import Point, side_by_side
from edgeflow.importers.refusals import is_left_out, refuse_unsupported

#: First states by their inputs.
States = Mapping[Hashable, NDArray[np.float32]]


class Graph(ABC):
    """Float operations as a chain of layers; subclasses read one kind of source.

    Parameters
    ----------
    operations : sequence of Operation
        In the order in which they run.
    inputs : sequence of (value, sizes)
        Samples and states; free sizes are None.
    outputs : sequence of values

    Attributes
    ----------
    operations
        Those without loops over time (`edgeflow.importers.loops`).
    steps : int
        Of the longest loop, 0 without.
    carried : dict
        Of a graph of one step: which value each state is in the next.
    data : set of values
        Those that depend on the samples.
    path : list of Operation
        Those that depend on the samples, and that the output depends on.
    sample, sizes
        The input that is the samples, and its sizes.
    heads : tuple of values
        What the chain gives, side by side.
    notes : list of str
        What is guessed or left out, for the user.
    """

    #: By kind of an operation without a role: what to do.
    advice: ClassVar[Mapping[str, str]]
    #: For messages: what is supported, and what runs the graph.
    supported: ClassVar[str]
    engine: ClassVar[str]

    def __init__(
        self,
        operations: Sequence[Operation],
        inputs: Sequence[tuple[Hashable, Sequence[int | None]]],
        outputs: Sequence[Hashable],
    ) -> None:
        self.operations, self.steps = rolled(operations, outputs)
        self.inputs, self.outputs = inputs, outputs
        self.carried = dict[Hashable, Hashable]()
        self.data, self.path = set[Hashable](), list[Operation]()
        self.notes, self.inside = list[str](), tuple[str, ...]()
        self.sample, self.sizes, self.heads = inputs[0][0], inputs[0][1], tuple(outputs[:1])

    @abstractmethod
    def limitation(self, op: Operation) -> str | None:
        """Return why an operation cannot be part of a chain, for reasons of this kind of file."""

    @abstractmethod
    def run(
        self,
        x: NDArray[np.float32],
        n: int,
        wanted: Sequence[Hashable],
        states: States | None = None,
    ) -> list[NDArray[np.float32]]:
        """Return values for x of n sequences; keep computed constants.

        `states` has those of inputs, which are zeros without.
        """

    @abstractmethod
    def constant(self, value: Any) -> NDArray[Any]:
        """Return an operand that does not depend on the samples."""

    @abstractmethod
    def arguments(self, op: Operation) -> Iterable[tuple[Any, ...]]:
        """Return the arguments of the method of `Assembly` named as the operation's role.

        One tuple for each layer of a stack. "matmul" is for `Assembly.linear`, "batch_norm" for
        `Assembly.affine`; "mean" needs a name only.
        """

    def cuts(self, op: Operation) -> Sequence[tuple[int, slice]]:
        """Return the ranges of axes that a move takes."""
        return op.cuts

    def parts(self, op: Operation, width: int) -> Sequence[tuple[int, int]]:
        """Return which channels of so many each result of a "split" has: from, and up to which."""
        raise NotImplementedError

    def label(self, value: Hashable) -> str:
        """Return the name of an input or output."""
        return str(value)

    def chain(
        self, example: NDArray[np.float32], description: Description | None, source: str
    ) -> FloatChain:
        """Return the chain, checked on samples [n, time, channels] against the graph itself.

        Raises
        ------
        CompressError
            If it is none, or has unsupported operations: all are listed.
        """
        about, channels = description or Description(), example.shape[-1]
        self.follow(channels)
        refuse_unsupported(self)
        n, time, swapped = self._batch(channels)
        if time == 1 or len(self.sizes) == 2:
            self.carried = carried(
                self.operations, [value for value, _ in self.inputs], self.sample, self.outputs
            )
            time, swapped = (None if self.carried else time), False
        elif self.steps:
            time = time or self.steps
        averages = any(op.role in ("mean", "max") for op in self.path)
        batches = samples(example, n, time or (about.window if averages else 0) or None)
        outputs = [self._expected(x, n, swapped) for x in batches]
        if n is None:
            # the real ones in batches of another size, too: no output may depend on it
            with suppress(CompressError):  # constants of the graph may have a size of their own
                outputs[0] = self._expected(batches[0], len(batches[0]) // 2, swapped)
        assembly = Assembly(channels)
        assembly.notes += [*self.notes, *self.inside]
        steps = batches[0].shape[1]
        if swapped:
            assembly.notes.append("it reads its samples as [time, n, channels]")
        if time and about.window and time != about.window:
            assembly.notes.append(
                f"it was made for windows of {time} samples, those of the data are {about.window}"
            )
        after = self._assemble(assembly, steps)
        if len(self.heads) > 1:
            assembly.several([self.label(value) for value in self.heads], about.classes)
        chain = finished(assembly, about, source)
        names = enumerate((name for name, _ in chain.layers), start=1)
        marks = [(number, after[name]) for number, name in names if name in after]
        for x, y in zip(batches, outputs, strict=True):

            def where(x: NDArray[np.float32] = x[:n]) -> str:
                found = self._run(x, swapped, [self._read(op) for _, op in marks])
                return first_difference(chain, x, marks, found, self.path)

            check_output(chain, x, y, final=assembly.final, where=where)
        clocks = clocks_of((layer for _, layer in chain.layers), chain.reads)
        for (_, layer), row in zip(chain.layers, chain.reads, strict=True):
            if isinstance(layer, Accumulate) and layer.window and about.window:
                layer.window = clocks[row[0]].ticks(about.window)
        return chain

    def follow(self, channels: int) -> None:
        """Find the ends, what the output depends on, and of that what depends on the samples."""
        ends = find_ends(self.operations, self.inputs, self.outputs, channels, self.label)
        self.sample, self.sizes, self.heads, self.inside = ends
        self.path.clear()
        self.data, needed, wanted = {self.sample}, {*self.heads}, []
        for op in reversed(pooled(self.operations, self.sample)):
            if needed.intersection(op.results):
                needed.update(() if op.role == "size" else op.reads)
                wanted.append(op)
        for op in reversed(wanted):
            if self.data.intersection(op.reads) and op.role != "size":
                self.data.update(op.results)
                self.path.append(op)

    def refusal(self, op: Operation) -> str | None:
        """Return why an operation without a role has none in a chain, and what to do."""
        return self.advice.get(op.kind)

    def _batch(self, channels: int) -> tuple[int | None, int | None, bool]:
        """Return the fixed sizes of batch and time, and whether x is [time, n, channels]."""
        if len(self.sizes) == 2 and self.sizes[1] in (None, channels):
            return self.sizes[0], 1, False
        if len(self.sizes) != 3 or self.sizes[2] not in (None, channels):
            shape = ", ".join("any" if size is None else str(size) for size in self.sizes)
            raise CompressError(
                f"its input '{self.label(self.sample)}' is [{shape}], the samples are [n, time, "
                f"{channels}]: export a model of [n, time, channels]"
            )
        first, second, _ = self.sizes
        return (second, first, True) if self.time_first() else (first, second, False)

    def time_first(self) -> bool:
        """Tell whether x is [time, n, channels], by the moves before the first layer."""
        axes = axes_of(self)
        for op in self.path:
            before = next((axes[value] for value in op.reads if value in axes), [])
            if op.role in ("recurrent", "layer") and before:
                return self.reads_first(op, before)
        return False

    def outputs_of(self, axes: list[int]) -> list[int]:
        """Return the axes of what a recurrent operation gives at each step."""
        return axes

    def moved(self, op: Operation, axes: list[int]) -> list[int]:
        """Return which axes of the samples a value's are after an operation."""
        return [axes[k] for k in op.order] if len(axes) == 3 and op.order else axes

    def reads_first(self, op: Operation, axes: list[int]) -> bool:
        """Tell whether a layer over time takes the first axis of the samples as time."""
        if op.cell:  # one step is left of a loop over it
            return 0 not in axes
        return self.moved(op, axes)[0] == 1

    def _expected(self, x: NDArray[np.float32], n: int | None, swapped: bool) -> Any:
        """Return the outputs for x [m, time, channels], at every step or at the last."""
        size, time = n or len(x), x.shape[1]
        parts = []
        for start in range(0, len(x), size):
            heads = [
                usual(y.swapaxes(0, 1) if swapped and y.ndim == 3 else y, size, time)
                for y in self._run(x[start : start + size], swapped, self.heads)
            ]
            parts.append(in_a_row(heads) if len(heads) > 1 else heads[0])
        return np.concatenate(parts) if parts[0].ndim else np.stack(parts)

    def _run(
        self, x: NDArray[np.float32], swapped: bool, wanted: Sequence[Hashable]
    ) -> list[NDArray[np.float32]]:
        batch = np.ascontiguousarray(x.swapaxes(0, 1) if swapped else x)
        try:
            if self.carried:
                return self._run_steps(x, wanted)
            return self.run(batch, len(x), wanted)
        except CompressError:
            raise
        except Exception as error:  # of many types, few of them public
            raise CompressError(
                f"{self.engine} cannot run it on samples {list(batch.shape)}: {one_line(error)}"
            ) from error

    def _run_steps(
        self, x: NDArray[np.float32], wanted: Sequence[Hashable]
    ) -> list[NDArray[np.float32]]:
        """Run a graph of one step on each of a sequence, and carry its states along."""
        states: States | None = None
        steps, shape = list[list[NDArray[np.float32]]](), [size or len(x) for size in self.sizes]
        for t in range(x.shape[1]):
            values = self.run(
                x[:, t].reshape(*shape[:-1], -1),
                len(x),
                (*wanted, *self.carried.values()),
                states,
            )
            states = dict(zip(self.carried, values[len(wanted) :], strict=True))
            steps.append([value.reshape(len(x), -1) for value in values[: len(wanted)]])
        return [np.stack(parts, axis=1) for parts in zip(*steps, strict=True)]

    def _read(self, op: Operation) -> Hashable:
        """Return the first result of an operation that another one reads."""
        read = self.read()
        return next((value for value in op.results if value in read), op.results[0])

    def read(self) -> set[Hashable]:
        """Return the values that the path or the caller of the model reads."""
        return {*self.heads, *(value for op in self.path for value in op.reads)}

    def _assemble(self, chain: Assembly, time: int) -> dict[str, Operation]:
        """Add the layers; return the operations whose values are those of layers, by their name."""
        # what a value is in the chain; for a stack's states, those of all of its layers
        points = {self.sample: [chain.point]}
        readers, axes = self._readers(), axes_of(self)
        problems, marks = [], dict[str, Operation]()
        for op in self.path:
            read = [point for value in op.reads for point in points.get(value, ())]
            if op.role == "move":
                if op.pick is not None and len(read) > 1:
                    read = [read[op.pick]]
                if len(read) == 1 and (
                    cut := channels_taken(op, self.cuts(op), axes, read[0].width)
                ):
                    chain.point = read[0]
                    chain.select("channels", *cut)
                    read = [chain.point]
                points.update(dict.fromkeys(op.results, read))
                continue
            if op.role == "split":
                self._split(chain, op, read, points)
                continue
            of = [value for value in op.operands if value in points]
            if any(len(points[value]) != 1 for value in of):
                problems.append(
                    f"{op}: it does not read what one layer gives (of a stack, the last state is "
                    "h_n[-1])"
                )
            shared = any(readers[value] > 1 for value in of)
            found = self._add(chain, op, [points[value][-1] for value in of], time, shared)
            points[op.results[0]] = found[-1:]
            points.update(dict.fromkeys(op.results[1:], found))
            if (
                chain.point.settled
                and not chain.final
                and chain.point.reads == (len(chain.layers),)
            ):
                marks[chain.layers[-1][0]] = op
        heads = [points.get(value, []) for value in self.heads]
        if any(len(points) != 1 for points in heads):
            problems.append("the output is not that of one layer")
        if problems:
            raise CompressError(f"the layers are no graph: {listed(problems)}")
        chain.point = side_by_side([point for points in heads for point in points], "the output")
        return marks

    def _split(
        self,
        chain: Assembly,
        op: Operation,
        read: Sequence[Point],
        points: dict[Hashable, list[Point]],
    ) -> None:
        """Add what the results of a split are of the channels that it reads."""
        width, ranges = read[-1].width, self.parts(op, read[-1].width)
        if len(op.results) == self.steps and (not ranges or ranges[-1][1] != width):  # over time
            points.update({value: list(read) for value in op.results})
            return
        if len(ranges) != len(op.results) or not all(0 <= a < b <= width for a, b in ranges):
            raise CompressError(
                f"{op} does not split the {width} channels: use a layer for each part"
            )
        for number, (result, (start, stop)) in enumerate(zip(op.results, ranges, strict=True)):
            chain.point = read[-1]
            chain.select(f"{op.name}{number}", start, stop)
            points[result] = [chain.point]

    def _readers(self) -> Counter[Hashable]:
        """Return how many operations, other than moves, and outputs read each value."""
        origin: dict[Hashable, Hashable] = {}
        for op in self.path:
            if op.role == "move":
                before = next((value for value in op.reads if value in self.data), None)
                origin |= dict.fromkeys(op.results, origin.get(before, before))
        read = [v for op in self.path if op.role != "move" for v in dict.fromkeys(op.reads)]
        count = Counter(origin.get(value, value) for value in (*read, *self.heads))
        return Counter({v: count[origin.get(v, v)] for v in (*self.data, *self.heads)})

    def _add(
        self, chain: Assembly, op: Operation, read: Sequence[Point], time: int, shared: bool
    ) -> list[Point]:
        """Add an operation behind what it reads; return what each of its layers gives."""
        if len(read) > 1:
            if op.role == "concat":
                chain.point = side_by_side(read, str(op))
            elif op.role == "attention":
                chain.attention_pool(op.name, *read)
            elif op.role == "mul":
                chain.product(op.name, read)
            else:
                chain.sum(op.name, read, [1.0, -1.0 if op.role == "sub" else 1.0])
            return [chain.point]
        (chain.point,) = read
        if is_left_out(self, op):
            chain.end(op.role)
        elif op.role in SUMS:
            first = op.operands[0] not in self.data  # "constant op value"
            c = self.constant(op.operands[0 if first else 1])
            factor = {"mul": c, "div": 1 / np.where(c == 0, np.nan, c)}.get(op.role, 1.0)
            term = {"add": c, "sub": c if first else -c}.get(op.role, 0.0)
            scale = -1.0 if op.role == "sub" and first else factor
            chain.affine(scale, term, str(op), shared)
        elif op.role != "concat":
            return [point for _ in self._layers(chain, op, time, shared) for point in [chain.point]]
        return [chain.point]

    def _layers(self, chain: Assembly, op: Operation, time: int, shared: bool) -> Iterator[None]:
        """Add the layers of an operation, one at a time."""
        starts = self._starts(op)
        method = {"matmul": "linear", "batch_norm": "affine"}.get(op.role, op.role)
        for number, arguments in enumerate(self.arguments(op)):
            if op.role in ("mean", "batch_norm"):
                more = (time,) if op.role == "mean" else (str(op), shared)
                arguments = (*arguments, *more)
            getattr(chain, method)(*arguments)
            if starts is not None:
                chain.start(str(op), starts[:, number])
            yield

    def _starts(self, op: Operation) -> NDArray[np.float64] | None:
        """Return the first states [states, layers, units] of an operation, None if they are zeros.

        Those of all sequences must be the same: a stream has one.
        """
        given = [] if self.carried else [np.asarray(self.constant(s)) for s in op.states]
        if not any(map(np.any, given)):
            return None
        rows = [state.reshape(-1, *state.shape[-2:]) for state in given]
        if any(np.ptp(state, axis=1).any() for state in rows) or op.role != "recurrent":
            raise CompressError(
                f"{op} starts from a first state that is not the same in all sequences: start from "
                "zeros, or from one state that is expanded over them"
            )
        return np.stack([state[:, 0] for state in rows]).astype(np.float64)

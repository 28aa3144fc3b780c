"""The walk from input to output of an imported graph, for all kinds of files."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeflow.cells.chain import FloatChain
from edgeflow.errors import CompressError
from edgeflow.importers.assembly import Assembly, Description, samples
from edgeflow.importers.check import check_output, one_line

#: Why operations are refused, and what to do.
ATTENTION = "attention: it weighs all samples of a window at once, so use a recurrent layer"
NOT_SUPPORTED = "not supported: leave it out or put it outside of the model"
MEAN = "use the last step's outputs instead of the mean over time"
NORM = "fold it into the linear layer next to it, or normalise the data"
_SUMS = ("add", "sub", "mul", "div")


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation of a graph, whose values are known by something hashable.

    Parameters
    ----------
    node : object
        What its file has.
    name, kind : str
    role : str
        "recurrent", "linear", "matmul", "add", "sub", "mul", "div" or "softmax"; "move": it only
        moves values (the check of the outputs shows that it moves none elsewhere); "size": its
        result is no data; "": none that a chain has.
    reads, results : sequence
        Values.
    operands : sequence
        Of arithmetic: values and constants, the weights of a product second.
    swaps : bool
        It exchanges the first two of three axes, or is recurrent and reads [time, n, channels].
    pick : int, optional
        Which of the layers whose states it reads it passes on; None: all.
    """

    node: Any
    name: str
    kind: str
    role: str
    reads: Sequence[Hashable]
    results: Sequence[Hashable]
    operands: Sequence[Any] = ()
    swaps: bool = False
    pick: int | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"


class Graph(ABC):
    """Float operations as a chain of layers; subclasses read one kind of file.

    Parameters
    ----------
    operations : sequence of Operation
        In the order in which they run.
    inputs : sequence of (value, sizes)
        The samples first, then states; free sizes are None.
    output : value
        What the chain gives.

    Attributes
    ----------
    data : set of values
        Those that depend on the samples.
    path : list of Operation
        Those that depend on the samples, and that the output depends on.
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
        output: Hashable,
    ) -> None:
        self.inputs, self.output = inputs, output
        self.data, self.path = {inputs[0][0]}, list[Operation]()
        needed, wanted = {output}, []
        for op in reversed(operations):
            if needed.intersection(op.results):
                needed.update(op.reads)
                wanted.append(op)
        for op in reversed(wanted):
            if self.data.intersection(op.reads) and op.role != "size":
                self.data.update(op.results)
                self.path.append(op)

    @abstractmethod
    def limitation(self, op: Operation) -> str | None:
        """Return why an operation cannot be part of a chain, for reasons of this kind of file."""

    @abstractmethod
    def listed(self, problems: Sequence[tuple[Operation, str]]) -> str:
        """Return the operations that cannot be compressed, and why."""

    @abstractmethod
    def run(self, x: NDArray[np.float32], n: int) -> NDArray[np.float32]:
        """Return the output for x of n sequences from states of zero; keep computed constants."""

    @abstractmethod
    def constant(self, value: Any) -> NDArray[Any]:
        """Return an operand that does not depend on the samples."""

    @abstractmethod
    def linear(self, op: Operation) -> tuple[Any, ...]:
        """Return the arguments of `Assembly.linear` for a product."""

    @abstractmethod
    def recurrent(self, op: Operation) -> Iterable[tuple[Any, ...]]:
        """Return the arguments of `Assembly.recurrent` for each layer of a stack."""

    def chain(
        self, example: NDArray[np.float32], description: Description | None, source: str
    ) -> FloatChain:
        """Return the chain, checked on samples [n, time, channels] against the graph itself.

        Raises
        ------
        CompressError
            If it is none, or has unsupported operations: all are listed.
        """
        reasons = ((op, self.limitation(op) or self._unsupported_reason(op)) for op in self.path)
        if problems := [(op, why) for op, why in reasons if why]:
            raise CompressError(f"{self.listed(problems)}. Supported are {self.supported}")
        (value, sizes), channels = self.inputs[0], example.shape[-1]
        if len(sizes) != 3 or sizes[2] not in (None, channels):
            shape = ", ".join("any" if size is None else str(size) for size in sizes)
            raise CompressError(
                f"its input '{value}' is [{shape}], the samples are [n, time, {channels}]: export "
                "a model of [n, time, channels]"
            )
        time_first = self._time_first()
        n, time = (sizes[1], sizes[0]) if time_first else (sizes[0], sizes[1])
        batches, outputs = samples(example, n, time), []
        for batch in batches:
            x = np.ascontiguousarray(batch.swapaxes(0, 1) if time_first else batch)
            try:
                y = self.run(x, len(batch))
            except Exception as error:  # of many types, few of them public
                raise CompressError(
                    f"{self.engine} cannot run it on samples {list(x.shape)}: {one_line(error)}"
                ) from error
            outputs.append(y.swapaxes(0, 1) if time_first and y.ndim == 3 else y)
        assembly = Assembly(channels)
        self._assemble(assembly)
        chain = assembly.finish(description or Description(), source)
        for x, y in zip(batches, outputs, strict=True):
            width = y.shape[-1] if y.ndim else 1
            # [1, n, outputs] or [n, 1, outputs] is the last step's
            single = y.size == len(x) * width and 1 in y.shape[:-1]
            expected = y.reshape(len(x), width) if single else y
            check_output(chain, x, expected, softmax=assembly.softmax)
        return chain

    def _unsupported_reason(self, op: Operation) -> str | None:
        """Return why an operation on the path cannot be part of a chain, and what to do."""
        if op.role in ("linear", "matmul", *_SUMS):
            if sum(value in self.data for value in op.operands) > 1:
                return ATTENTION if op.role == "matmul" else "joins two paths: a chain is needed"
            if op.role in ("linear", "matmul", "div") and op.operands[0] not in self.data:
                return "the constant must be the second operand"
            return None
        if op.role in ("recurrent", "move") or (op.role and self.output in op.results):
            return None
        return self.advice.get(op.kind, NOT_SUPPORTED)

    def _time_first(self) -> bool:
        """Tell whether x is [time, n, channels], by the moves before the first layer."""
        swapped = False
        for op in self.path:
            swapped ^= op.swaps
            if op.role == "recurrent":
                return swapped
        return False

    def _assemble(self, chain: Assembly) -> None:
        # the version of the chain that a value is; those of all layers for a stack's states
        versions = {self.inputs[0][0]: [chain.version]}
        problems = []
        for op in self.path:
            read = [version for value in op.reads for version in versions.get(value, ())]
            if op.role != "move":
                if read != [chain.version]:
                    problems.append(f"{op}: it reads what another layer has read, too")
                read = self._add(chain, op)
            elif op.pick is not None and len(read) > 1:
                read = [read[op.pick]]
            versions.update(dict.fromkeys(op.results, read))
        if versions.get(self.output) != [chain.version]:
            problems.append("the output is not that of the last layer")
        if problems:
            raise CompressError(f"the layers are no chain: {'; '.join(problems)}")

    def _add(self, chain: Assembly, op: Operation) -> list[int]:
        """Add an operation; return the versions after each of its layers."""
        if op.role == "recurrent":
            versions = []
            for layer in self.recurrent(op):
                chain.recurrent(*layer)
                versions.append(chain.version)
            return versions
        if op.role in ("linear", "matmul"):
            chain.linear(*self.linear(op))
        elif op.role == "softmax":
            chain.softmax = True
        else:
            first = op.operands[0] not in self.data  # "constant op value"
            c = self.constant(op.operands[0 if first else 1])
            factor = {"mul": c, "div": 1 / np.where(c == 0, np.nan, c)}.get(op.role, 1.0)
            term = {"add": c, "sub": c if first else -c}.get(op.role, 0.0)
            chain.affine(-1.0 if op.role == "sub" and first else factor, term)
        return [chain.version]

    def check_states(self, op: Operation, states: Iterable[Any]) -> None:
        """Refuse a recurrent operation that starts from other states than zeros."""
        if any(np.any(self.constant(state)) for state in states):
            raise CompressError(f"{op} does not start from a state of zeros: leave it out")


@contextmanager
def importing(path: str | Path) -> Iterator[None]:
    """Name the file in what goes wrong with its graph."""
    try:
        yield
    except CompressError as error:
        raise CompressError(f"{path}: {error}") from error
    except (ValueError, LookupError, AttributeError, TypeError, RuntimeError) as error:
        # a graph that is valid, but like none that was thought of
        raise CompressError(
            f"{path}: its graph has an unexpected form ({type(error).__name__}: {error})"
        ) from error

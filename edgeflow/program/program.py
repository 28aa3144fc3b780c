"""The compressed model: a graph of integer layers with one meaning on every target."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow.errors import ProgramError
from edgeflow.names import same_name
from edgeflow.overlap import Overlap
from edgeflow.program import inference, learning, onnx_file
from edgeflow.program.clocks import Clock, clocks_of, run_at, ticking
from edgeflow.program.confidence import ONE, confidence
from edgeflow.program.described import check_metadata, check_names
from edgeflow.program.fixedpoint import Ints, clip
from edgeflow.program.input_format import InputFormat
from edgeflow.program.lanes.simulator import simulate
from edgeflow.program.lanes.trace import is_plain
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.adaptive_linear import AdaptiveLinear
from edgeflow.program.nodes.base import Node, State
from edgeflow.program.nodes.cutoff import Cutoff
from edgeflow.program.show import html, one_line
from edgeflow.program.sources import Sources, chain_of, check_sources, joined
from edgeflow.program.start import Start, checked_start, first_states
from edgeflow.tasks import OutputFormat, Task, task_of
from edgeflow.tasks.output import Scale, scale_by

#: Sequences that numpy steps at once: more leave the processor's cache.
SIDE_BY_SIDE = 512


def is_layer_name(name: str) -> bool:
    """Tell whether a layer's C objects can begin with `name`; ``ef_`` and ``model_`` are ours."""
    return bool(re.fullmatch(r"(?!(ef|model)(_|$))[A-Za-z]\w*", name, re.ASCII))


@dataclass(frozen=True, eq=False, repr=False)
class Program:
    """A step graph: `nodes` applied in order to one sample, each with its own state.

    A node reads what its sources give, side by side: by default the node before it, a chain. Nodes
    behind a `Decimate` run at some steps only (`clocks`). Two programs are equal if their `hash`
    is.

    Parameters
    ----------
    nodes : tuple of Node
        Each behind those that it reads.
    input : InputFormat
    output_scale : float
        Real value of one unit of the output.
    classes : tuple of str
        One per output; empty where the output is not a classification.
    window : int
        Samples per decision (the state is reset before each window), 0 for streaming.
    rate_hz : float
        Sampling rate, 0 if unknown.
    metadata : dict
        Measurements of compression; JSON values. Not part of the meaning nor of the hash.
    sources : tuple of tuple of int
        What each node reads, in order, and then the output: 0 is the input, k what the k-th node
        gives. Empty for a chain; `reads` has them always.
    output : OutputFormat or None
        Offset, scale and unit of each output, of which one of `output_scale` is a unit; None: the
        outputs times `output_scale` are real values.
    hop : int
        Samples from one decision to the next, of windows that overlap (`Overlap`); 0: they do not.
    start : mapping of str to tuple of int
        States after a reset that are no zeros, by ``<layer>.<state>``: what training learned.

    Raises
    ------
    ProgramError
        If layers do not fit together.
    """

    nodes: tuple[Node, ...]
    input: InputFormat
    output_scale: float
    classes: tuple[str, ...] = ()
    window: int = 0
    rate_hz: float = 0.0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    sources: tuple[Sources, ...] = ()
    output: OutputFormat | None = None
    hop: int = 0
    start: Start = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.nodes:
            raise ProgramError("a program needs at least one layer")
        if self.sources == chain_of(len(self.nodes)):
            object.__setattr__(self, "sources", ())  # one form of each program
        names: set[str] = set()
        for node in self.nodes:
            if not is_layer_name(node.name) or node.name in names:
                raise ProgramError(f"layer name '{node.name}' is not unique or not an identifier")
            names.add(node.name)
            for name, matrix in node.matrices().items():
                if name in node.delta_sources or not (matrix.threshold or matrix.factor):
                    continue
                kind = "of low rank" if matrix.factor else "a delta one"
                raise ProgramError(f"layer {node.name}: its matrix {name} cannot be {kind}")
        size, _ = check_sources(self.nodes, self.reads, self.inputs, self.input.bits)
        _ = self.clocks
        object.__setattr__(self, "start", checked_start(self.nodes, self.start))
        if self.classes and len(self.classes) != size:
            raise ProgramError(f"{len(self.classes)} class names for {size} outputs")
        if (twice := same_name(self.classes)) is not None:
            raise ProgramError(f"two classes have the name '{twice}': rename one")
        if self.output is not None and len(self.output.units) != size:
            raise ProgramError(f"formats of {len(self.output.units)} outputs for {size}")
        if not 0 <= self.window <= MAX_SIZE:
            raise ProgramError(f"a window of {self.window} samples is not in 0..{MAX_SIZE}")
        if sum(bool(node.saved) for node in self.nodes) > 1:
            raise ProgramError("a program has one layer that learns at most")
        if any(isinstance(node, AdaptiveLinear) for node in self.nodes[:-1]):
            raise ProgramError("a read-out that learns must be the last layer")
        if self.learns and (self.hop or self.reads[-1] != (len(self.nodes),)):
            raise ProgramError(
                "the output of a read-out that learns must be that alone, of windows that do not "
                "overlap"
            )
        if any(isinstance(node, Cutoff) for node in self.nodes[:-1]):
            raise ProgramError("an early exit must be the last layer")
        if self.cutoff is not None and self.reads[-1] != (len(self.nodes),):
            raise ProgramError("the output of a program with an early exit must be that alone")
        if self.cutoff is not None and self.window == 0:
            raise ProgramError(
                f"layer {self.nodes[-1].name}: an early exit holds its decision until the window "
                "ends, and the program has no windows: it decides at every sample"
            )
        if not 0 <= self.hop < max(self.window, 1):
            raise ProgramError(
                f"a hop of {self.hop} samples, and windows of {self.window}: it must be less, or 0"
            )
        if self.hop and self.cutoff is not None:
            raise ProgramError(
                f"layer {self.nodes[-1].name}: an early exit holds its decision until the window "
                "ends, and these windows overlap: leave one of the two out"
            )
        if not 0 < self.output_scale < np.inf or not 0 <= self.rate_hz < np.inf:
            raise ProgramError("the output scale must be positive, the rate not negative")
        check_names("channels", self.input.channels)
        check_names("classes", self.classes)
        check_metadata(self.metadata)
        _ = self.task  # which metadata may describe wrongly

    @property
    def inputs(self) -> int:
        """Number of input channels."""
        return len(self.input.channels)

    @property
    def outputs(self) -> int:
        """Number of output values."""
        sizes = [self.inputs, *(node.outputs for node in self.nodes)]
        return sum(sizes[k] for k in self.reads[-1])

    @cached_property
    def reads(self) -> tuple[Sources, ...]:
        """What each node reads, in order, and then the output: `sources`, or those of a chain."""
        return self.sources or chain_of(len(self.nodes))

    @cached_property
    def clocks(self) -> tuple[Clock, ...]:
        """The steps at which each node runs."""
        return clocks_of(self.nodes, self.reads)

    @property
    def task(self) -> Task:
        """Task of the outputs: as metadata say, else classification or plain values."""
        return task_of(self.classes, self.metadata.get("task"))

    @property
    def scaling(self) -> Scale:
        """What the integers of the outputs are worth, for `Task.decide`."""
        return scale_by(self.output, self.output_scale)

    @property
    def overlap(self) -> Overlap | None:
        """How its windows overlap, if they do."""
        return Overlap(self.window, self.hop) if self.hop else None

    @property
    def cutoff(self) -> Cutoff | None:
        """The early exit that ends the program, if there is one."""
        return self.nodes[-1] if isinstance(self.nodes[-1], Cutoff) else None

    def without_cutoff(self) -> "Program":
        """Return the program that reads every window to its end."""
        if self.cutoff is None:
            return self
        return replace(self, nodes=self.nodes[:-1], sources=self.reads[:-1])

    def then(self, node: Node, reads: Sources | None = None, **changes: Any) -> Self:
        """Return the program with a node behind it, whose output it then gives.

        The node reads `reads`; by default what the program gave. `changes` are of other fields,
        which must fit the new output.
        """
        *before, output = self.reads
        sources = (*before, output if reads is None else reads, (len(self.nodes) + 1,))
        return replace(self, nodes=(*self.nodes, node), sources=sources, **changes)

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights, packed in their bits, of biases, multipliers and arrays."""
        products = [matrix for node in self.nodes for matrix in node.products().values()]
        saved = sum(matrix.weight.size * (8 - matrix.weight_bits) for matrix in products) // 8
        return sum(node.weight_bytes() for node in self.nodes) - saved

    def __eq__(self, other: object) -> bool:
        return self.hash == other.hash if isinstance(other, Program) else NotImplemented

    def __hash__(self) -> int:
        return int.from_bytes(self.hash)

    def __repr__(self) -> str:
        return one_line(self)

    def _repr_html_(self) -> str:
        return html(self)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a dense step."""
        return sum(node.macs() for node in self.nodes)

    @property
    def hash(self) -> bytes:
        """Eight bytes that name the program's meaning; the board shows them in the handshake."""
        digest = hashlib.sha256(b"edgeflow program 1")
        header = [
            self.input.bits,
            self.input.channels,
            self.classes,
            self.window,
            self.output_scale,
            *([self.hop] if self.hop else []),
            *([self.start] if self.start else []),
        ]
        digest.update(json.dumps(header).encode())
        digest.update(self.input.offset.astype("<f4").tobytes())
        digest.update(self.input.scale.astype("<f4").tobytes())
        if self.output is not None:
            digest.update(json.dumps(self.output.to_json()).encode())
        for node in self.nodes:
            digest.update(json.dumps([node.operator, node.name, node.ints()]).encode())
            for matrix in node.products().values():
                shape = [matrix.weight.shape, matrix.shift, matrix.input_bits]
                if matrix.threshold:
                    shape += [matrix.threshold, matrix.group]
                digest.update(json.dumps(shape).encode())
                digest.update(matrix.weight.tobytes())
                digest.update(matrix.bias.astype("<i4").tobytes())
                digest.update(matrix.multiplier.astype("<i4").tobytes())
            for array in node.arrays().values():
                digest.update(json.dumps([array.size, array.dtype.str]).encode())
                digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
        if self.sources:
            digest.update(json.dumps(["sources", self.sources]).encode())
        return digest.digest()[:8]

    def quantize_input(self, x: ArrayLike) -> NDArray[np.int16]:
        """Return raw samples [..., channels] as the integers that a step reads."""
        return self.input.quantize(x)

    def initial_state(self, n: int = 1) -> list[State]:
        """Return the state after a reset, for n independent streams."""
        return first_states(self.nodes, self.start, n)

    @property
    def learns(self) -> bool:
        """Whether labels change its read-out: its last layer is an `AdaptiveLinear`."""
        return isinstance(self.nodes[-1], AdaptiveLinear)

    @property
    def adapts(self) -> bool:
        """Whether a layer learns, of labels or, in the step, of what comes."""
        return any(node.saved for node in self.nodes)

    def learn(self, state: list[State], label: ArrayLike) -> list[State]:
        """Return the state after a label of what was read last, which a reset does not forget.

        Parameters
        ----------
        state : list of State
            Of n streams, as of `run_on`.
        label : int or int array [n]
            Index of the class; -1: this stream learns nothing.

        Raises
        ------
        ProgramError
            If the program does not learn, or there is no such class.
        """
        return learning.learn(self, state, label)

    def forget(self, state: list[State]) -> list[State]:
        """Return the state with the trained read-out, as if nothing had been learned."""
        return learning.forget(self, state)

    def reset(self, state: list[State], n: int | None = None) -> list[State]:
        """Return the state after a reset, of which what was learned stays.

        With `n` for so many streams, which all have what the one stream of `state` learned.
        """
        return learning.reset(self, state, n)

    def save_learned(self, state: list[State]) -> bytes:
        """Return what one stream has learned, as boards keep it: version, hash, values, CRC-32."""
        return learning.save(self, state)

    def load_learned(self, blob: bytes, state: list[State] | None = None) -> list[State]:
        """Return the state with what `save_learned` or a board gave.

        Raises
        ------
        ProgramError
            If it is damaged, or was learned by another program.
        """
        return learning.load(self, blob, state)

    def step(self, x: NDArray[np.int16], state: list[State]) -> tuple[Ints, list[State]]:
        """Run one sample: x int16 [n, inputs] -> y [n, outputs] within int16, next state."""
        values, following = [clip(x, self.input.bits)], list[State]()
        for number, (node, reads) in enumerate(zip(self.nodes, self.reads[:-1], strict=True)):
            due = ticking(self.clocks, self.nodes, number, following)
            y, new = run_at(due, node, joined(values, reads), state[number])
            values.append(y)
            following.append(new)
        return joined(values, self.reads[-1]), following

    def run(self, x: NDArray[np.int16], state: list[State] | None = None) -> NDArray[np.int16]:
        """Run sequences from `state` (default: after a reset).

        Parameters
        ----------
        x : int16 array [n, time, inputs]

        Returns
        -------
        int16 array [n, time, outputs]

        Raises
        ------
        ProgramError
            If x has another shape or type.
        """
        return self.run_on(x, state)[0]

    def run_on(
        self, x: NDArray[np.int16], state: list[State] | None = None
    ) -> tuple[NDArray[np.int16], list[State]]:
        """Return the outputs as of `run`, and the state after the last sample."""
        array = isinstance(x, np.ndarray)
        if not array or x.ndim != 3 or x.shape[2] != self.inputs or x.dtype != np.int16:
            given = f"{x.dtype} {list(x.shape)}" if array else type(x).__name__
            raise ProgramError(
                f"x must be int16 [n, time, {self.inputs}], as quantize_input gives, not {given}"
            )
        state = self.initial_state(x.shape[0]) if state is None else state
        return simulate(self, x, state) or self._by_blocks(x, state)

    def step_through(
        self, x: NDArray[np.int16], state: list[State]
    ) -> tuple[NDArray[np.int16], list[State]]:
        """Run sequences in numpy, as of `run_on`: the reference of all that is faster."""
        y = np.empty((x.shape[0], x.shape[1], self.outputs), dtype=np.int16)
        for t in range(x.shape[1]):
            y[:, t], state = self.step(x[:, t], state)
        return y, state

    def _by_blocks(
        self, x: NDArray[np.int16], state: list[State]
    ) -> tuple[NDArray[np.int16], list[State]]:
        """Return what `step_through` does, in memory that does not grow with the sequences."""
        if len(x) <= SIDE_BY_SIDE or not all(map(is_plain, self.nodes)):
            return self.step_through(x, state)
        y = np.empty((x.shape[0], x.shape[1], self.outputs), dtype=np.int16)
        ends = []
        for first in range(0, len(x), SIDE_BY_SIDE):
            rows = slice(first, first + SIDE_BY_SIDE)
            part = [{name: value[rows] for name, value in own.items()} for own in state]
            y[rows], end = self.step_through(x[rows], part)
            ends.append(end)
        following = [
            {name: np.concatenate([end[number][name] for end in ends]) for name in own}
            for number, own in enumerate(ends[0])
        ]
        return y, following

    def predict(self, x: ArrayLike) -> NDArray[Any]:
        """Return the program's answers to raw samples: labels, or values in real units.

        Parameters
        ----------
        x : array [n, time, channels] or [time, channels]
            In the units of the training data: windows, or one recording.

        Returns
        -------
        array
            With `classes`, labels (str), else values (float64). With a `window`, one answer for
            each: [n], or [whole windows of the recording], with a `hop` [decisions of the
            recording]; without, one for each sample: [n, time] or [time]. Values have a last axis
            more, [..., outputs].

        Raises
        ------
        ProgramError
            If x has another shape or is not numbers.
        """
        return inference.predict(self, x)

    def values(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the outputs behind `predict` in real units, [..., outputs]."""
        return inference.values(self, x)

    def confidence(self, y: ArrayLike) -> NDArray[np.float64]:
        """Return the softmax of the class that outputs decide on, with the bits of the C library.

        A probability only as far as the model is calibrated: trained with cross-entropy, on data
        like these.

        Parameters
        ----------
        y : int array [..., outputs]
            Outputs as of `run`.

        Returns
        -------
        float64 array [...]
            1 / outputs .. 1, in steps of 2**-15.
        """
        return confidence(y, self.output_scale) / ONE

    def stream(self) -> "inference.Stream":
        """Return a stream that takes one sample at a time, after a reset."""
        return inference.Stream(self)

    def save(self, path: str | Path) -> None:
        """Write the program as an ONNX file, atomically."""
        onnx_file.save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a program.

        Raises
        ------
        ProgramError
            If the file is missing, corrupt or not made by EdgeFlow.
        """
        return onnx_file.load(path, cls)

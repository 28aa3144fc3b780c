"""Layers collected along the paths of a graph from input to output."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from edgeflow.cells.accumulate import Accumulate
from edgeflow.cells.attention import AttentionPool
from edgeflow.cells.cells import layer_of
from edgeflow.cells.chain import output_of
from edgeflow.cells.curve import ChannelPReLU
from edgeflow.cells.front import Magnitude
from edgeflow.cells.join import Product, Sum
from edgeflow.cells.pool import MovingMax, MovingMean, RunningMax
from edgeflow.cells.rate import clocks_of
from edgeflow.cells.start import STARTED, started
from edgeflow.errors import CompressError
from edgeflow.importers.check import identifier
from edgeflow.importers.fold import FOLDABLE, scale_input, scale_output
from edgeflow.importers.making import copied, linear_layer
from edgeflow.importers.messages import one_line
from edgeflow.importers.points import Map, Part, Point, side_by_side
from edgeflow.importers.strides import WITHOUT_MEMORY, add_conv, add_pool, add_stack, begin
from edgeflow.program.clocks import Clock
from edgeflow.quantization import Floats

#: Most values whose squares of 16 bits fit in 32.
_VECTOR = 3


@dataclass
class Assembly:
    """A chain under construction: each method adds what a graph does next, at `point`.

    A graph with branches goes back to earlier values, and joins them, by `point`.

    Weights are arrays of floats in torch's layouts. Names become C identifiers of layers, numbered
    where they are taken. A method that cannot add raises a `CompressError`.

    Parameters
    ----------
    inputs : int
        Channels.

    Attributes
    ----------
    point : Point
        What is read next: at first the samples, then what was added last.
    sources : list of tuple of int
        What each layer reads, as in `FloatChain`.
    final : str
        Function at the end that the chain leaves out, a key of ``check.FINAL``, or "".
    notes : list of str
    centre, spread : float64 array [inputs]
        Normalisation of the samples.
    """

    inputs: int
    layers: list[tuple[str, nn.Module]] = field(default_factory=list)
    sources: list[tuple[int, ...]] = field(default_factory=list)
    final: str = ""
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.point = Point((Part(0, self.inputs),))
        self.centre, self.spread = np.zeros(self.inputs), np.ones(self.inputs)
        self._samples: Map | None = None

    @property
    def width(self) -> int:
        """Values of a step at `point`."""
        return self.point.width

    def affine(
        self, scale: ArrayLike, shift: ArrayLike, name: str = "its scaling", shared: bool = False
    ) -> None:
        """Multiply each channel by `scale` and add `shift`, both [width] or a single value.

        It becomes part of a linear layer before it, unless others read that, too (`shared`), of a
        linear or recurrent layer after it, or of the normalisation of the input; `name` is for the
        message where there is none.
        """
        a, b = (self._vector(v, name) for v in (scale, shift))
        if (last := self._linear_before()) is not None and not shared:
            scale_output(last, torch.from_numpy(a), torch.from_numpy(b))
        else:
            self.point = self.point.mapped(a, b, name)

    def _linear_before(self) -> nn.Linear | None:
        """Return the linear layer that `point` is the output of."""
        value = self.point.reads[0]
        last = self.layers[value - 1][1] if value else None
        alone = len(self.point.parts) == 1 and self.point.settled
        return last if alone and isinstance(last, nn.Linear) else None

    def linear(self, name: str, weight: ArrayLike, bias: ArrayLike | None = None) -> None:
        """Add ``W x + b`` with W [outputs, width]."""
        w = np.atleast_2d(np.asarray(weight, dtype=np.float64))
        self._check_width(name, w.shape[-1] if w.ndim == 2 else 0)
        self.add(name, linear_layer(w, bias), w.shape[0])

    def select(self, name: str, start: int, stop: int) -> None:
        """Go on with some channels: the rows of a linear layer before it, or a layer for them."""
        last = self._linear_before()
        if last is None:
            self.linear(name, np.eye(self.width)[start:stop])
            return
        weight, bias = (p.detach().double().numpy()[start:stop] for p in (last.weight, last.bias))
        read = self.sources[self.point.reads[0] - 1]
        self.append(name, linear_layer(weight, bias), stop - start)
        self.sources[-1] = read

    def glu(self, name: str) -> None:
        """Add a gated linear unit: one half of the channels times the sigmoid of the other."""
        whole, half = self.point, self.width // 2
        self.select(f"{name}_value", 0, half)
        value, self.point = self.point, whole
        self.select(f"{name}_gate", half, 2 * half)
        self.sigmoid(f"{name}_sigmoid")
        self.product(name, [value, self.point])

    def recurrent(
        self,
        name: str,
        kind: Callable[..., nn.Module],
        weight_ih: ArrayLike | None,
        weight_hh: ArrayLike,
        bias_ih: ArrayLike | None = None,
        bias_hh: ArrayLike | None = None,
        projection: ArrayLike | None = None,
    ) -> None:
        """Add a single layer whose rows are in torch's order of gates, from a state of zeros.

        `kind` makes it, given its sizes and ``batch_first``. Without `weight_ih` it reads the sums
        of its gates, from the linear layer before it, which becomes part of it. A `projection`
        [outputs, units] of an LSTM is a linear layer behind it, and part of what reads its state.
        """
        r, reads = np.asarray(weight_hh, dtype=np.float64), self.point.reads
        if projection is not None:
            r = r @ np.asarray(projection, dtype=np.float64)
        before = None if weight_ih is not None or self.point.skip else self._linear_before()
        if before is not None:
            weight_ih, bias_ih = (p.detach().numpy() for p in (before.weight, before.bias))
            reads = self.sources[reads[0] - 1]
        w = np.asarray(np.eye(len(r)) if weight_ih is None else weight_ih, dtype=np.float64)
        if before is None:
            add_stack(self, name, w.shape[-1])
        self._check_width(name, len(w) if before is not None else w.shape[-1])
        layer = kind(w.shape[1], r.shape[1], batch_first=True)
        state = {"weight_ih_l0": w, "weight_hh_l0": r, "bias_ih_l0": bias_ih, "bias_hh_l0": bias_hh}
        zeros = np.zeros(len(w))
        layer.load_state_dict(
            {k: torch.tensor(np.asarray(zeros if v is None else v)) for k, v in state.items()}
        )
        self.add(name, layer, r.shape[1])
        if before is not None:
            self.sources[-1] = reads
        if projection is not None:
            self.linear(f"{name}_projection", projection)

    def start(self, name: str, states: ArrayLike) -> None:
        """Let the recurrent layer that was added last start from states [states, units]."""
        number, first = self.point.reads[0] - 1, np.asarray(states, dtype=np.float64)
        label, layer = self.layers[number]
        if not np.any(first):
            return
        if type(layer) not in STARTED:
            raise CompressError(
                f"{name} starts from a first state that is not zeros, which a GRU, LSTM or RNN of "
                "torch's form can, without a projection: use one, or start from zeros"
            )
        self.layers[number] = label, started(layer, torch.from_numpy(first).float())

    def function(self, name: str, module: nn.Module) -> None:
        """Add a function of single values, a layer of ``edgeflow.cells``."""
        self.add(name, module, self.width, skips=True)

    def prelu(self, name: str, slope: ArrayLike) -> None:
        """Add ``max(x, 0) + slope min(x, 0)``; `slope` is [width] or a single value."""
        self.function(name, ChannelPReLU(self._vector(slope, name)))

    def magnitude(self, name: str) -> None:
        """Add the length of a step's values, of which a linear layer makes one unit."""
        if self.width > _VECTOR:
            raise CompressError(
                f"{name} is the length of {self.width} values: use at most {_VECTOR}, of a vector"
            )
        if self._linear_before() is None:
            self.linear(f"{name}_vector", np.eye(self.width))
        self.add(name, Magnitude(self.width, 0, 1, self.width, keep=False), 1, skips=True)

    def relu(self, name: str) -> None:
        """Add ``max(x, 0)``."""
        self.function(name, nn.ReLU())

    def tanh(self, name: str) -> None:
        """Add ``tanh(x)``."""
        self.function(name, nn.Tanh())

    def sigmoid(self, name: str) -> None:
        """Add ``1 / (1 + exp(-x))``; at the end of a model it is left out instead: `end`."""
        self.function(name, nn.Sigmoid())

    def layer_norm(
        self,
        name: str,
        gain: ArrayLike | None = None,
        bias: ArrayLike | None = None,
        eps: float = 1e-5,
    ) -> None:
        """Add a normalisation of each step over its channels; `gain` and `bias` are [width]."""
        layer = nn.LayerNorm(self.width, eps=eps)
        for parameter, value in ((layer.weight, gain), (layer.bias, bias)):
            if value is not None:
                parameter.data.copy_(torch.from_numpy(self._vector(value, name)))
        self.add(name, layer, self.width)

    def pad(self, left: int, right: int = 0) -> None:
        """Put zeros before and after the samples of the convolution that is added next."""
        before = self.point.padding or (0, 0)
        self.point = replace(self.point, padding=(before[0] + left, before[1] + right))

    def conv(
        self,
        name: str,
        weight: ArrayLike,
        bias: ArrayLike | None = None,
        dilation: int = 1,
        left: int = 0,
        right: int = 0,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        """Add a convolution over time with W [outputs, width / groups, taps].

        `left` and `right` are its own zeros before and after the samples. It is causal with at most
        ``(taps - 1) * dilation`` on the left and none on the right; with all of these, whatever is
        on the right and is cut off later.
        """
        self._check_width(name, groups * np.shape(weight)[1])
        add_conv(self, name, weight, bias, dilation, left, right, stride, groups)

    def max_pool(self, name: str, kernel: int, stride: int) -> None:
        """Add the largest of `kernel` steps, every `stride` steps, without padding."""
        add_pool(self, name, MovingMax, kernel, stride)

    def avg_pool(self, name: str, kernel: int, stride: int) -> None:
        """Add the mean of `kernel` steps, every `stride` steps, without padding."""
        add_pool(self, name, MovingMean, kernel, stride)

    def mean(self, name: str, window: int) -> None:
        """Add the mean over time: at the last step of a window of so many samples, theirs."""
        begin(self, name)
        self.add(name, Accumulate(self.clocks()[self.point.reads[0]].ticks(window)), self.width)

    def max(self, name: str) -> None:
        """Add the largest value over time: at the last step of a window, that of all of it."""
        begin(self, name)
        self.add(name, RunningMax(), self.width)

    def attention_pool(self, name: str, values: Point, score: Point) -> None:
        """Add the mean over time of values, each step weighted by the softmax of its score."""
        if score.width != 1:
            raise CompressError(
                f"{name} weighs values by {score.width} scores a step: use one, of nn.Linear(.., 1)"
            )
        points = [self._made(f"{name}_of", point) for point in (values, score)]
        self.point = side_by_side(points, name)
        begin(self, name)
        self.append(name, AttentionPool(), values.width)

    def layer(self, name: str, module: nn.Module) -> None:
        """Add a copy of a layer of ``edgeflow.cells``, or the layers that it is a stack of."""
        parts = layer_of(module).unstack(module)
        for k, part in enumerate(parts):
            single = copied(name, part)
            try:
                y = output_of(single, torch.zeros(1, 2, self.width))
            except Exception as error:  # of many types, where its width is another
                raise CompressError(
                    f"{name} cannot read the {self.width} values of a step: {one_line(error)}"
                ) from error
            self.add(name if len(parts) == 1 else f"{name}{k}", single, y.shape[-1])

    def sum(self, name: str, points: Sequence[Point], signs: Sequence[float]) -> None:
        """Add the sum of values, each times its sign."""
        self._check_alike(name, points)
        joined = side_by_side(points, name)
        gain, shift = joined.map_of(self._samples) or (
            np.ones(joined.width),
            np.zeros(joined.width),
        )
        sign = np.array(signs)[:, None]
        gain, shift = (v.reshape(len(points), -1) * sign for v in (gain, shift))
        self.point = joined
        self.append(name, Sum(torch.from_numpy(gain), torch.from_numpy(shift.sum(axis=0))))

    def product(self, name: str, points: Sequence[Point]) -> None:
        """Add the product of two values, channel by channel."""
        self._check_alike(name, points)
        points = [self._made(f"{name}_factor", point) for point in points]
        self.point = side_by_side(points, name)
        self.append(name, Product())

    def several(self, names: Sequence[str], classes: Sequence[str]) -> None:
        """Note that `point` is several outputs; refuse them where the data have one target."""
        listed = " and ".join(f"'{name}'" for name in names)
        if classes and self.width != len(classes):
            raise CompressError(
                f"it has the outputs {listed}, {self.width} values in all, and the data have "
                f"{len(classes)} classes: return one output, or compress it with data that have no "
                "classes"
            )
        self.notes.append(f"its outputs {listed} stand side by side")

    def _made(self, name: str, point: Point) -> Point:
        """Return a value that a layer gives as it is: no samples, whose zero has no meaning."""
        if point.settled and 0 not in point.reads:
            return point
        self.sum(name, [point], [1.0])
        return self.point

    def _check_alike(self, name: str, points: Sequence[Point]) -> None:
        widths = [point.width for point in points]
        if len(set(widths)) > 1:
            raise CompressError(
                f"{name} joins {' and '.join(map(str, widths))} values: bring all to the same "
                "number, by a linear layer"
            )

    def end(self, function: str) -> None:
        """Leave out a function that does not change which output is the largest."""
        self.final = function
        self.notes.append(f"the {function} at its end is left out: the decisions are the same")

    def add(self, name: str, layer: nn.Module, width: int, skips: bool = False) -> None:
        """Add a layer with `width` outputs; with `skips` it may read steps of no meaning."""
        if not skips and not isinstance(layer, WITHOUT_MEMORY):
            begin(self, name)
        side_by_side([self.point], name)  # which has no padding
        self._fold(layer)
        self.append(name, layer, width)

    def append(self, name: str, layer: nn.Module, width: int | None = None) -> None:
        width = layer.gain.shape[1] if isinstance(layer, Sum) else width or self.width // 2
        self.layers.append((identifier(name, (n for n, _ in self.layers)), layer.eval()))
        self.sources.append(self.point.reads)
        clocks = self.clocks()
        if len(rates := list(dict.fromkeys(clocks[k] for k in self.point.reads))) > 1:
            raise CompressError(
                f"{name} joins values of unlike rates ({' and '.join(map(str, rates))}): give both "
                "branches the same strides and padding"
            )
        self.point = Point((Part(len(self.layers), width),), skip=self.point.skip)

    def clocks(self) -> list[Clock]:
        """Return the clocks of the samples and of what each layer gives."""
        return clocks_of((layer for _, layer in self.layers), self.sources)

    def _fold(self, layer: nn.Module) -> None:
        """Make a waiting map of channels part of the normalisation, or of a layer to be added."""
        found = self.point.map_of(self._samples)
        if found is None:
            return
        a, b = found
        if not self.layers and a.min() > 0 and self.point.reads == (0,):
            self.centre, self.spread, self._samples = -b / a, 1 / a, found
        elif isinstance(layer, FOLDABLE):
            scale_input(layer, torch.from_numpy(a), torch.from_numpy(b))
        else:
            raise CompressError(
                f"{self.point.maker or 'its input'} has no linear layer beside it: put one before "
                "it, or leave it out"
            )

    def _check_width(self, name: str, width: int) -> None:
        if width == self.width:
            return
        remedy = (
            "a layer can read one step only (not a flattened window); use the last step's outputs"
            if width > self.width
            else "give it all of them, or make the model for fewer channels"
        )
        raise CompressError(f"{name} reads {width} values, a step has {self.width}: {remedy}")

    def _vector(self, value: ArrayLike, name: str) -> Floats:
        array = np.asarray(value, dtype=np.float64)
        if array.size not in (1, self.width) or array.size != max((1, *array.shape)):
            raise CompressError(
                f"{name} applies a constant of shape {list(array.shape)} to {self.width} channels: "
                "only one value a channel is supported, so make it the same at every step; for a "
                "cell in a loop, use nn.GRU, nn.LSTM or nn.RNN"
            )
        result: Floats = np.broadcast_to(array.reshape(-1), self.width).copy()
        return result

"""A torch module as a graph: the functions that its `forward` calls, from samples to outputs."""

import contextlib
import copy
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from edgeflow.cells.cells import layer_of
from edgeflow.cells.chain import FloatChain
from edgeflow.errors import CompressError
from edgeflow.importers.check import CHECKED
from edgeflow.importers.finish import Description
from edgeflow.importers.graph import States
from edgeflow.importers.messages import one_line
from edgeflow.importers.ncps import from_ncps, is_ncps, time_span
from edgeflow.importers.operation import Operation, named
from edgeflow.importers.recorder import (
    NUMBERS,
    Value,
    call_of,
    named_outputs,
    record,
    value_of,
)
from edgeflow.importers.torch_graph import Call, TorchGraph, tensors_in
from edgeflow.importers.unchanged import unchanged

_OTHER_FLOATS = (torch.float64, torch.float16, torch.bfloat16)
#: Packages whose modules hold integers.
_QUANTIZED = ("torch.ao", "torch.nn.quantized", "torch.quantization", "torchao")
#: Of those, modules that only mark where a float model is to be quantized.
_MARKS = ".quantization.stubs"


def from_module(
    module: nn.Module,
    example: NDArray[np.float32],
    *,
    channels: Sequence[str] | None = None,
    classes: Sequence[str] = (),
    window: int = 0,
    rate_hz: float = 0.0,
) -> FloatChain:
    """Run `module`, and make layers of the functions that lead from samples to outputs.

    Parameters
    ----------
    module : nn.Module
        Maps x [n, time, channels] or [time, n, channels] to [n, time, outputs] or to the last
        step's [n, outputs], or to a tuple or dict with it. It is not changed, even by an error;
        the chain has copies.
    example : float32 array [n, time, channels]
        Real samples; the layers in sequence must give the module's output on them, and on random
        ones.
    channels, classes, window, rate_hz
        As in `FloatChain`.

    Raises
    ------
    CompressError
        If an operation is not supported (all are listed), the module does more than its layers, or
        its code fails: with file and line.
    """
    if channels and len(channels) != example.shape[-1]:
        raise CompressError(
            f"{len(channels)} names for {example.shape[-1]} channels of x [n, time, channels] = "
            f"{list(example.shape)}"
        )
    about = Description(tuple(channels or ()), tuple(classes), window, rate_hz)
    module, notes = _plain(getattr(module, "_orig_mod", module))
    with torch.random.fork_rng(devices=[]):
        graph = _read(module, np.ascontiguousarray(example[:CHECKED], dtype=np.float32))
        graph.notes += notes
        if graph.remembers():
            graph.notes.append(
                "forward keeps a state from call to call: each window is taken as its first call, "
                "from zeros"
            )
        return graph.chain(np.asarray(example, dtype=np.float32), about, type(module).__name__)


def _read(module: nn.Module, x: NDArray[np.float32]) -> "_Module":
    """Record a module on x [n, time, channels], or [time, n, channels] where it reads that."""
    swapped = np.ascontiguousarray(x.swapaxes(0, 1))
    try:
        graph = _Module(module, x)
    except CompressError:
        with contextlib.suppress(CompressError):
            graph = _Module(module, swapped)
            if graph.reads_time_first(x.shape[-1]):
                return graph
        raise
    return _Module(module, swapped) if graph.reads_time_first(x.shape[-1]) else graph


def _plain(module: nn.Module) -> tuple[nn.Module, list[str]]:
    """Return the module whose functions can be seen, and notes on what it is made of."""
    for name, part in module.named_modules():
        kind = type(part)
        if isinstance(part, torch.jit.ScriptModule):
            raise CompressError(
                f"{_path(name)}a torch.jit module hides its layers: pass the nn.Module that it was "
                "made from, as it was before torch.jit.script or torch.jit.trace"
            )
        if kind.__module__.startswith(_QUANTIZED) and not kind.__module__.endswith(_MARKS):
            raise CompressError(
                f"{_path(name)}{kind.__name__} is quantized already: pass the float nn.Module, as "
                "it was before torch's quantization"
            )
    others = set[str]()
    for name, parameter in module.named_parameters():
        dtype = str(parameter.dtype).removeprefix("torch.")
        if isinstance(parameter, UninitializedParameter):
            raise CompressError(
                f"parameter {name} has no size yet: call the model on samples once, and train it"
            )
        if parameter.layout != torch.strided:
            raise CompressError(f"parameter {name} is sparse: pass it as to_dense()")
        if parameter.device.type != "cpu" or not parameter.is_floating_point():
            raise CompressError(
                f"parameter {name} is {dtype} on {parameter.device}: pass the model as float32 on "
                "the CPU, copy.deepcopy(net).float().cpu()"
            )
        if parameter.dtype in _OTHER_FLOATS:
            others.add(dtype)
        if not bool(parameter.isfinite().all()):
            raise CompressError(
                f"parameter {name} holds NaN or infinite values: train it again, or load others"
            )
    if not others:
        return module, []
    try:
        return copy.deepcopy(module).float(), [
            f"it has parameters of {', '.join(sorted(others))}: they are taken as float32"
        ]
    except Exception as error:  # whatever the module holds
        raise CompressError(
            f"the model cannot be copied to float32 ({one_line(error)}): pass net.float()"
        ) from error


def _path(name: str) -> str:
    return f"{name}: " if name else ""


class _Module(TorchGraph):
    """The functions of torch that a module calls; a value is a tensor as it was at a time."""

    engine = "the model"

    def __init__(self, module: nn.Module, x: NDArray[np.float32]) -> None:
        self._module, self._first = module, record(module, torch.tensor(x))
        first = self._first
        values = [value_of(tensor) for _, tensor in first.outputs]
        self._labels = dict(zip(values, (name for name, _ in first.outputs), strict=True))
        super().__init__(first.operations, [(first.sample, [None, None, x.shape[-1]])], values)

    def follow(self, channels: int) -> None:
        reached, read = {self.sample}, list[Operation]()
        for op in self.operations:
            if op.role != "size" and reached.intersection(op.reads):
                reached.update(op.results)
                read += [] if op.results or not op.place else [op]
        if numbers := [op for op in read if op.node.function in NUMBERS]:
            raise CompressError(
                f"{named(numbers)}: forward makes numbers of the samples: use functions of torch, "
                "or compute them in the data"
            )
        super().follow(channels)
        if read:
            self.inside += (
                f"forward decides by the values of the samples ({named(read)}): the way that the "
                "checked ones took is imported",
            )

    def reads_time_first(self, channels: int) -> bool:
        """Tell whether it reads [time, n, channels]."""
        self.follow(channels)
        return self.time_first()

    def remembers(self) -> bool:
        """Tell whether the same samples give something else in a second call."""
        x = self._first.tensors[self._first.sample]
        with unchanged(self._module), contextlib.suppress(CompressError):
            calls = [[*tensors_in(call_of(self._module, x.clone()))] for _ in range(2)]
            return not all(map(_equal, *calls))
        return False

    def label(self, value: Hashable) -> str:
        return self._labels.get(value, "x")  # type: ignore[call-overload]

    def limitation(self, op: Operation) -> str | None:
        call: Call = op.node
        if op.role == "layer":
            return self._layer_limitation(call)
        return super().limitation(op)

    def _layer_limitation(self, call: Call) -> str | None:
        try:
            parts = self._parts(call)
        except CompressError as error:
            return str(error)
        reasons = (layer_of(part).unsupported_reason(part) for part in parts)
        return next(filter(None, reasons), None)

    def _parts(self, call: Call) -> list[nn.Module]:
        assert call.module is not None
        if is_ncps(call.module):
            return from_ncps(call.module, time_span(call.get("args"), call.get("options")))
        return [call.module]

    def arguments(self, op: Operation) -> Iterator[tuple[Any, ...]]:
        if op.role != "layer":
            yield from super().arguments(op)
            return
        parts = self._parts(op.node)
        for k, part in enumerate(parts):
            yield op.node.layer if len(parts) == 1 else f"{op.node.layer}{k}", part

    def run(
        self,
        x: NDArray[np.float32],
        n: int,
        wanted: Sequence[Hashable],
        states: States | None = None,
    ) -> list[NDArray[np.float32]]:
        given = torch.tensor(x)
        if set(wanted) <= set(self.outputs):
            with unchanged(self._module):
                outputs = [tensor for _, tensor in named_outputs(call_of(self._module, given))]
            return [_array(outputs[self.outputs.index(value)]) for value in wanted]
        again = record(self._module, given)
        values = dict[Hashable, Any]()
        for old, new in zip(self._first.operations, again.operations, strict=True):
            values.update(zip(old.results, new.results, strict=True))
        return [_array(again.tensors[values[value]]) for value in wanted]

    def constant(self, value: Any) -> NDArray[Any]:
        if isinstance(value, Value):
            value = self._first.tensors[value]
        return _array(value) if isinstance(value, Tensor) else np.asarray(value)


def _equal(a: Tensor, b: Tensor) -> bool:
    """Tell whether the values are the same; NaN equals NaN."""
    return a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)


def _array(tensor: Tensor) -> NDArray[Any]:
    values: NDArray[Any] = tensor.detach().numpy()
    return values.astype(np.float32) if values.dtype != np.float64 else values

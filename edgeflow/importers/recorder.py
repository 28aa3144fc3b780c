"""The functions of torch that a module calls on samples, as operations of a graph."""

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from edgeflow.cells.cells import is_known
from edgeflow.errors import CompressError
from edgeflow.importers.messages import one_line
from edgeflow.importers.ncps import is_ncps
from edgeflow.importers.operation import Operation
from edgeflow.importers.torch_graph import tensors_in, torch_operation
from edgeflow.importers.unchanged import unchanged

_TORCH = str(Path(torch.__file__).parent)
#: Reads of a tensor's values as numbers, and decisions by them.
NUMBERS = ("item", "tolist", "numpy", "float", "int", "index", "array", "complex")
DECISIONS = ("bool", "is_nonzero", "equal", "allclose")


_REFLECTED = {"iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "div", "truediv": "div",
              "rtruediv": "rdiv"}  # fmt: skip


class Value(NamedTuple):
    """A tensor as it was before it was changed in place the next time."""

    number: int
    version: int


def value_of(tensor: Tensor) -> Value:
    """Return the value that a tensor has now."""
    return Value(id(tensor), 0 if tensor.is_inference() else tensor._version)


@dataclass
class Recording:
    """What a module did with samples.

    Parameters
    ----------
    sample : Value
    operations : list of Operation
    outputs : list of (str, Tensor)
        Names and tensors that the module returned.
    tensors : dict
        By value, each as it was.
    """

    sample: Value
    operations: list[Operation] = field(default_factory=list)
    outputs: list[tuple[str, Tensor]] = field(default_factory=list)
    tensors: dict[Value, Tensor] = field(default_factory=dict)


def record(module: nn.Module, x: Tensor) -> Recording:
    """Run a module in evaluation mode on x, and record what it does.

    Layers of ``edgeflow.cells`` and of ncps, and attention, are one operation each.

    Raises
    ------
    CompressError
        If its code fails: with the file and line.
    """
    recorder = _Recorder(module, x)
    with unchanged(module):
        recorder.patch()
        with recorder:
            output = call_of(module, x)
    recorder.recording.outputs = named_outputs(output)
    return recorder.recording


def call_of(module: nn.Module, x: Tensor) -> Any:
    """Return what a module returns.

    Raises
    ------
    CompressError
        If its code fails: with the file and line.
    """
    try:
        with torch.no_grad():
            return module(x)
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        text = ": ".join(filter(None, [type(error).__name__, one_line(error)]))
        remedy = "make it run on samples of the data"
        if "positional argument" in text or "keyword-only argument" in text:
            remedy = "give defaults to all that it takes beside the samples"
        raise CompressError(
            f"the model cannot be run on samples of {x.shape[-1]} channels (x {list(x.shape)}): "
            f"{_failed_at(error)}{text}: {remedy}"
        ) from error


def _failed_at(error: BaseException) -> str:
    """Return "net.py:12 in forward: ", the last line of a user's code, or ""."""
    frames = [
        f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}: "
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_TORCH, str(Path(__file__).parent)))
    ]
    return frames[-1] if frames else ""


def named_outputs(output: Any) -> list[tuple[str, Tensor]]:
    """Return the tensors of a module's output and their names."""
    if isinstance(output, Tensor):
        return [("output", output)]
    parts: Any = output.items() if isinstance(output, Mapping) else ()
    if isinstance(output, (tuple, list)):
        parts = enumerate(output)
    tensors = [
        (f"output {name!r}" if isinstance(name, str) else f"output {name}", tensor)
        for name, part in parts
        for tensor in tensors_in(part)
    ]
    if not tensors:
        raise CompressError(f"the model returns {type(output).__name__}, not a tensor")
    return tensors


class _Recorder(TorchFunctionMode):
    """Sees every call of a function of torch outside of the layers that are one operation."""

    def __init__(self, module: nn.Module, x: Tensor) -> None:
        super().__init__()
        self.recording = Recording(value_of(x))
        self._module = module
        named = module.named_modules()
        self._names = {part: _plain_name(name) for name, part in named}
        self._owners = {
            id(tensor): _plain_name(name).rpartition(".")[0]
            for name, tensor in module.named_parameters()
        }
        self._scopes: list[nn.Module] = []
        self._inside = False
        self._alive: dict[int, Tensor] = {}
        self._keep(x)

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        options = kwargs or {}
        if self._inside:
            return func(*args, **options)
        given = [*tensors_in(args), *tensors_in(options)]
        return self._recorded(_function(func), args, options, given, lambda: func(*args, **options))

    def patch(self) -> None:
        """Let calls of layers be seen; the caller puts the module back."""
        for part in self._names:
            if is_opaque(part):
                part.__dict__["forward"] = self._opaque(part, part.forward)
            elif _is_function(part):
                part.__dict__["forward"] = self._scope(part, part.forward)

    def _opaque(self, layer: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **options: Any) -> Any:
            if self._inside:
                return forward(*args, **options)
            self._inside = True
            self._scopes.append(layer)
            try:
                given = [*tensors_in(args), *tensors_in(options)]
                return self._recorded(
                    type(layer).__name__, args, options, given, lambda: forward(*args, **options)
                )
            finally:
                self._inside = False
                self._scopes.pop()

        return called

    def _scope(self, layer: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **options: Any) -> Any:
            self._scopes.append(layer)
            try:
                return forward(*args, **options)
            finally:
                self._scopes.pop()

        return called

    def _recorded(
        self,
        function: str,
        args: Sequence[Any],
        options: Mapping[str, Any],
        given: Sequence[Tensor],
        run: Callable[[], Any],
    ) -> Any:
        """Run a function; keep an operation of its tensors."""
        for tensor in given:
            self._keep(tensor)
        reads = [value_of(tensor) for tensor in given]
        values = list[Value]()
        operation = self._operation(function, args, options, reads, values)
        result = run()
        if isinstance(result, Iterator):  # of a loop over a tensor
            parts = list(result)
            result, results = iter(parts), parts
        else:
            results = list(tensors_in(result))
        if any(value_of(t) != v for t, v in zip(given, reads, strict=True)):
            # what shares memory with a tensor that is changed in place is changed, too
            changed = {_memory(t) for t, v in zip(given, reads, strict=True) if value_of(t) != v}
            results += [tensor for tensor in self._alive.values() if _memory(tensor) in changed]
        values += dict.fromkeys(value_of(tensor) for tensor in results)
        if set(values) - set(reads) or (function in (*NUMBERS, *DECISIONS) and not values):
            for tensor in results:
                self._keep(tensor)
            self.recording.operations.append(operation)
        return result

    def _operation(
        self,
        function: str,
        args: Sequence[Any],
        options: Mapping[str, Any],
        reads: Sequence[Value],
        results: Sequence[Value],
    ) -> Operation:
        layer = self._scopes[-1] if self._scopes else None
        scope = None if layer is None else self._names[layer]
        owners = (self._owners.get(value.number) for value in reads)
        names = [name for name in (scope, *owners) if name is not None]
        return torch_operation(
            function,
            args,
            options,
            name=(scope or "layer") if layer is not None else function,
            layer=names[0] if names else function,
            reads=reads,
            results=results,
            key=lambda value: value_of(value) if isinstance(value, Tensor) else _plain(value),
            kind="" if layer is None else type(layer).__name__,
            place="" if layer is not None else user_place(sys._getframe()),
            module=layer,
            opaque=layer is not None and self._inside,
        )

    def _keep(self, tensor: Tensor) -> None:
        """Keep a tensor alive, so that no other has its number, and its values now."""
        self._alive[id(tensor)] = tensor
        value = value_of(tensor)
        if value not in self.recording.tensors:
            self.recording.tensors[value] = tensor.detach().clone()


def is_opaque(module: nn.Module) -> bool:
    """Tell whether a module is one operation, whatever it calls."""
    own = is_known(module) and not type(module).__module__.startswith("torch.nn.")
    return own or is_ncps(module) or isinstance(module, nn.MultiheadAttention)


def _is_function(module: nn.Module) -> bool:
    """Tell whether a module of torch stands for a function that it calls."""
    return type(module).__module__.startswith("torch.nn.") and not list(module.children())


def _plain(value: Any) -> Any:
    return value if isinstance(value, (int, float, type(None))) else None


def _plain_name(name: str) -> str:
    """Return a module's name without what ``torch.compile`` adds."""
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _function(func: Any) -> str:
    """Return 'add' of ``Tensor.__iadd__`` and ``add_``, 'mT' of the property."""
    name = str(getattr(func, "__name__", func))
    if name == "__get__":
        return str(getattr(func.__self__, "__name__", name))
    name = name.strip("_") if name.startswith("__") else name.rstrip("_")
    return _REFLECTED.get(name, name)


def user_place(frame: FrameType | None) -> str:
    """Return file and line of the innermost frame that is neither torch's nor an importer's."""
    here = str(Path(__file__).parent)
    while frame is not None:
        file = frame.f_code.co_filename
        if frame.f_code is record.__code__:
            return ""
        if not file.startswith((_TORCH, here, "<")):
            return f"{Path(file).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""

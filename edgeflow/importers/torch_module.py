"""A torch module made of supported layers, taken apart into a `FloatChain`."""

import contextlib
import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeflow.cells.cells import is_known, layer_of, supported
from edgeflow.cells.chain import FloatChain
from edgeflow.errors import CompressError
from edgeflow.importers.check import check_output, identifier, one_line
from edgeflow.importers.fold import fold_norms
from edgeflow.importers.graph import ATTENTION
from edgeflow.importers.ncps import from_ncps, is_ncps, time_span

_INERT = (nn.Dropout, nn.Identity, nn.AlphaDropout)
#: A layer with the arguments and options of a call of it.
_Call = tuple[nn.Module, tuple[Any, ...], dict[str, Any]]


def from_module(
    module: nn.Module,
    example: NDArray[np.float32],
    *,
    channels: Sequence[str] | None = None,
    classes: Sequence[str] = (),
    window: int = 0,
    rate_hz: float = 0.0,
) -> FloatChain:
    """Find the layers of `module` and check that they are all that it does.

    Parameters
    ----------
    module : nn.Module
        Maps x [n, time, channels] to [n, time, outputs] or to the last step's [n, outputs], or
        to a tuple that starts with it. Its buffers `mean` and `std`, if it has them, are its
        input normalisation. It is not changed, even by an error; the chain has copies.
    example : float32 array [n, time, channels]
        Real samples; the layers in sequence must give the module's output on them.
    channels, classes, window, rate_hz
        As in `FloatChain`.

    Raises
    ------
    CompressError
        If a layer is not supported (all are listed), or the module does more than its layers.
    """
    module = _plain(module)
    x = torch.from_numpy(np.ascontiguousarray(example[:8], dtype=np.float32))
    if channels and len(channels) != x.shape[-1]:
        raise CompressError(
            f"{len(channels)} names for {x.shape[-1]} channels of x [n, time, channels] = "
            f"{list(example.shape)}"
        )
    with _unchanged(module):
        module.eval()
        chain, expected = _take_apart(module, x)
    chain.channels = tuple(channels or (f"x{i}" for i in range(x.shape[-1])))
    chain.classes, chain.window, chain.rate_hz = tuple(classes), window, rate_hz
    fold_norms(chain)
    check_output(chain, x.numpy(), expected.numpy())
    return chain


def _plain(module: nn.Module) -> nn.Module:
    """Return the module whose layers can be seen."""
    if isinstance(module, torch.jit.ScriptModule):
        raise CompressError(
            "a torch.jit module hides its layers: pass the module that it was made from"
        )
    module = getattr(module, "_orig_mod", module)  # what torch.compile wraps
    for name, parameter in module.named_parameters():
        if parameter.device.type != "cpu" or parameter.dtype != torch.float32:
            raise CompressError(
                f"parameter {name} is {str(parameter.dtype).removeprefix('torch.')} on "
                f"{parameter.device}: pass the model as float32 on the CPU, "
                "copy.deepcopy(net).float().cpu()"
            )
        if not bool(parameter.isfinite().all()):
            raise CompressError(f"parameter {name} holds NaN or infinite values")
    return module


@contextlib.contextmanager
def _unchanged(module: nn.Module) -> Iterator[None]:
    """Put back modes and buffers of a module and of all in it."""
    modes = [(part, part.training, dict(part._buffers)) for part in module.modules()]
    values = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        yield
    finally:
        for part, training, buffers in modes:
            part.training = training
            part._buffers.clear()
            part._buffers.update(buffers)
        with torch.no_grad():
            for buffer, value in values:
                if not torch.equal(buffer, value):
                    buffer.copy_(value)


def _take_apart(module: nn.Module, x: Tensor) -> tuple[FloatChain, Tensor]:
    """Return copies of the layers of a module in evaluation mode, and its output."""
    calls, expected = _observe(module, x)
    names = {layer: name for name, layer in module.named_modules()}
    problems = [
        f"{names[layer] or type(layer).__name__} ({_unknown(layer)})"
        for layer in dict.fromkeys(layer for layer, *_ in calls)
        if not (_is_layer(layer) or isinstance(layer, _INERT))
    ]
    reasons = {call[0]: _unsupported_reason(call) for call in calls if _is_layer(call[0])}
    problems += [f"{names[layer]} ({reason})" for layer, reason in reasons.items() if reason]
    if problems:
        raise CompressError(
            f"these layers cannot be compressed: {'; '.join(problems)}. Supported are {supported()}"
        )
    used = [call for call in calls if not isinstance(call[0], _INERT)]
    counts = Counter(layer for layer, *_ in used)
    repeated = {names[layer] for layer, count in counts.items() if count > 1}
    if not used:
        raise CompressError(f"the model calls no layer. Supported are {supported()}")
    if repeated:
        raise CompressError(
            f"layer {', '.join(sorted(repeated))} is called more than once: each layer must be "
            "called once a forward pass"
        )
    layers: list[tuple[str, nn.Module]] = []
    for call in used:
        name, parts = identifier(names[call[0]]), _parts(call)
        layers += [
            (name if len(parts) == 1 else f"{name}{k}", _copied(name, part))
            for k, part in enumerate(parts)
        ]
    n = x.shape[-1]
    mean, std = _normalisation(module, "mean", n), _normalisation(module, "std", n)
    chain = FloatChain(layers, mean, std, channels=(), source=type(module).__name__)
    return chain, expected


def _copied(name: str, layer: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode, without the hooks: the integers will have none either."""
    try:
        copied = copy.deepcopy(layer)
    except Exception as error:  # whatever the layer holds
        raise CompressError(f"layer {name} cannot be copied: {one_line(error)}") from error
    for part in copied.modules():
        for hooks in (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks):
            hooks.clear()
    return copied.eval()


def _observe(module: nn.Module, x: Tensor) -> tuple[list[_Call], Tensor]:
    """Run the module; return the calls of its leaf layers in order, and the output."""
    calls: list[_Call] = []
    leaves = list(_leaves(module))
    hooks = [
        m.register_forward_hook(lambda *call: calls.append(call[:3]), with_kwargs=True)
        for m in leaves
    ]
    batch_first = all(getattr(m, "batch_first", True) for m in leaves)
    try:
        with torch.no_grad():
            output = module(x if batch_first else x.transpose(0, 1))
    except Exception as error:  # whatever the user's code raises
        raise CompressError(
            f"the model cannot be run on samples of {x.shape[-1]} channels "
            f"(x [n, time, channels] = {list(x.shape)}): {type(error).__name__}: {one_line(error)}"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    output = output[0] if isinstance(output, tuple) and output else output
    if not isinstance(output, Tensor):
        raise CompressError(f"the model returns {type(output).__name__}, not a tensor")
    if not batch_first and output.ndim == 3:
        output = output.transpose(0, 1)
    return calls, output


def _is_layer(module: nn.Module) -> bool:
    return is_known(module) or is_ncps(module)


def _parts(call: _Call) -> list[nn.Module]:
    """Return a layer as single layers of our own."""
    layer, arguments, options = call
    if is_ncps(layer):
        return from_ncps(layer, time_span(arguments, options))
    return layer_of(layer).unstack(layer)


def _unsupported_reason(call: _Call) -> str | None:
    layer = call[0]
    if not is_ncps(layer):
        return layer_of(layer).unsupported_reason(layer)
    try:
        parts = _parts(call)
    except CompressError as error:
        return str(error)
    return next(filter(None, (layer_of(part).unsupported_reason(part) for part in parts)), None)


def _unknown(layer: nn.Module) -> str:
    kind = type(layer).__name__
    return f"{kind}: {ATTENTION}" if isinstance(layer, nn.MultiheadAttention) else kind


def _leaves(module: nn.Module) -> Iterator[nn.Module]:
    """Yield known layers, and other modules without layers inside."""
    children = list(module.children())
    # attention uses the weights of its own child without calling it
    if _is_layer(module) or not children or isinstance(module, nn.MultiheadAttention):
        yield module
        return
    for child in children:
        yield from _leaves(child)


def _normalisation(module: nn.Module, name: str, channels: int) -> NDArray[np.float32]:
    default = np.zeros if name == "mean" else np.ones
    buffer = dict(module.named_buffers()).get(name)
    if buffer is None:
        return default(channels, dtype=np.float32)
    array = buffer.detach().cpu().numpy().astype(np.float32).reshape(-1)
    if (
        array.shape != (channels,)
        or not np.isfinite(array).all()
        or (name == "std" and array.min() <= 0)
    ):
        raise CompressError(
            f"the buffer '{name}' must hold {channels} finite values (std positive)"
        )
    return array

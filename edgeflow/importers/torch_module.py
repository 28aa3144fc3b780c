"""A torch module made of supported layers, taken apart into a `FloatChain`."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeflow.cells.cells import is_known, layer_of, supported
from edgeflow.errors import CompressError
from edgeflow.importers.chain import FloatChain
from edgeflow.importers.check import check_output, identifier
from edgeflow.importers.ncps import from_ncps, is_ncps

_INERT = (nn.Dropout, nn.Identity, nn.AlphaDropout)


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
        input normalisation.
    example : float32 array [n, time, channels]
        Real samples; the layers in sequence must give the module's output on them.
    channels, classes, window, rate_hz
        As in `FloatChain`.

    Raises
    ------
    CompressError
        If a layer is not supported (all are listed), or the module does more than its layers.
    """
    module = module.eval()
    x = torch.from_numpy(np.ascontiguousarray(example[:8], dtype=np.float32))
    calls, expected = _observe(module, x)
    names = {layer: name for name, layer in module.named_modules()}
    problems = [
        f"{names[layer] or type(layer).__name__} ({type(layer).__name__})"
        for layer in dict.fromkeys(calls)
        if not (_is_layer(layer) or isinstance(layer, _INERT))
    ]
    reasons = {layer: _refusal(layer) for layer in calls if _is_layer(layer)}
    problems += [f"{names[layer]} ({reason})" for layer, reason in reasons.items() if reason]
    if problems:
        raise CompressError(
            f"these layers cannot be compressed: {'; '.join(problems)}. Supported are {supported()}"
        )
    used = [layer for layer in calls if not isinstance(layer, _INERT)]
    repeated = {names[layer] for layer in used if used.count(layer) > 1}
    if repeated or not used:
        what = (
            f"layer {', '.join(sorted(repeated))} is called" if repeated else "no layer is called"
        )
        raise CompressError(f"{what} more than once: each layer must be called once a forward pass")
    layers: list[tuple[str, nn.Module]] = []
    for layer in used:
        name, parts = identifier(names[layer]), _parts(layer)
        layers += [
            (name if len(parts) == 1 else f"{name}{k}", part) for k, part in enumerate(parts)
        ]
    n = x.shape[-1]
    chain = FloatChain(
        layers=layers,
        mean=_normalisation(module, "mean", n),
        std=_normalisation(module, "std", n),
        channels=tuple(channels or (f"x{i}" for i in range(n))),
        classes=tuple(classes),
        window=window,
        rate_hz=rate_hz,
        source=type(module).__name__,
    )
    check_output(chain, x.numpy(), expected.numpy())
    return chain


def _observe(module: nn.Module, x: Tensor) -> tuple[list[nn.Module], Tensor]:
    """Run the module; return its leaf layers in the order of their calls, and the output."""
    calls: list[nn.Module] = []
    leaves = list(_leaves(module))
    hooks = [m.register_forward_hook(lambda layer, *_: calls.append(layer)) for m in leaves]
    batch_first = all(getattr(m, "batch_first", True) for m in leaves)
    try:
        with torch.no_grad():
            output = module(x if batch_first else x.transpose(0, 1))
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CompressError(
            f"the model cannot be run on samples of {x.shape[-1]} channels "
            f"(x [n, time, channels] = {list(x.shape)}): {reason}"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    output = output[0] if isinstance(output, tuple) else output
    if not isinstance(output, Tensor):
        raise CompressError(f"the model returns {type(output).__name__}, not a tensor")
    if not batch_first and output.ndim == 3:
        output = output.transpose(0, 1)
    return calls, output


def _is_layer(module: nn.Module) -> bool:
    return is_known(module) or is_ncps(module)


def _parts(layer: nn.Module) -> list[nn.Module]:
    """Return a layer as single layers of our own."""
    return from_ncps(layer) if is_ncps(layer) else layer_of(layer).expand(layer)


def _refusal(layer: nn.Module) -> str | None:
    if not is_ncps(layer):
        return layer_of(layer).refuse(layer)
    try:
        parts = from_ncps(layer)
    except CompressError as error:
        return str(error)
    return next(filter(None, (layer_of(part).refuse(part) for part in parts)), None)


def _leaves(module: nn.Module) -> Iterator[nn.Module]:
    """Yield known layers, and whatever else has no layers inside."""
    children = list(module.children())
    if _is_layer(module) or not children:
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

"""Layers of the ``ncps`` package, turned into ours; ``ncps`` itself is not imported."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from edgeflow.cells.cfc import ACTIVATIONS, CfC
from edgeflow.cells.ltc import LTC
from edgeflow.errors import CompressError


def is_ncps(module: nn.Module) -> bool:
    """Tell whether `module` is a recurrent layer of ``ncps.torch``."""
    kind = type(module)
    return kind.__module__.split(".")[:2] == ["ncps", "torch"] and kind.__name__ in ("CfC", "LTC")


def time_span(arguments: Sequence[Any], options: Mapping[str, Any]) -> float:
    """Return the time span between samples that a call of an ncps layer was given.

    Parameters
    ----------
    arguments, options
        Of the call ``layer(input, hx=None, timespans=None)``.

    Raises
    ------
    CompressError
        If it varies, or is not positive.
    """
    spans = options.get("timespans", arguments[2] if len(arguments) > 2 else None)
    if spans is None:
        return 1.0
    values = torch.as_tensor(spans).detach().double()
    span, spread = float(values.mean()), float(values.max() - values.min())
    if not span > 0 or spread > 1e-5 * span:
        raise CompressError(
            f"timespans from {float(values.min()):g} to {float(values.max()):g}: only a constant "
            "positive time span can be compressed; resample the data to a constant rate"
        )
    return span


def from_ncps(module: Any, time_span: float = 1.0) -> list[nn.Module]:
    """Return an ``ncps.torch.LTC`` or ``CfC`` as our layers, and a projection as a Linear one.

    A wired CfC (``ncps.wirings``) becomes a layer for each of the wiring's layers. Weights are
    copied. `time_span` is that between two samples, as ncps's ``timespans``.

    Raises
    ------
    CompressError
        If the module has a part that EdgeFlow does not know.
    """
    kind = type(module).__name__
    if module.use_mixed:
        raise CompressError(f"ncps {kind} with mixed_memory=True is not supported: leave it out")
    if kind == "LTC":
        return [_ltc(module.rnn_cell, time_span).eval()]
    cell = module.rnn_cell
    cells = [cell]
    if type(cell).__name__ == "WiredCfCCell":
        cells = [getattr(cell, f"layer_{k}") for k in range(cell.num_layers)]
    layers: list[nn.Module] = [_layer(part, time_span) for part in cells]
    if isinstance(module.fc, nn.Linear):
        layers.append(module.fc)
    return [layer.eval() for layer in layers]


def _layer(cell: Any, time_span: float) -> CfC:
    inside = list(cell.backbone) if cell.backbone is not None else []
    linears = [part for part in inside if isinstance(part, nn.Linear)]
    mask = None if cell.sparsity_mask is None else cell.sparsity_mask.detach().cpu().numpy()
    layer = CfC(
        cell.input_size,
        cell.hidden_size,
        mode=cell.mode,
        backbone_units=linears[0].out_features if linears else 1,
        backbone_layers=len(linears),
        activation=_activation(inside),
        time_span=time_span,
        mask=mask,
    )
    weights = {
        name: value
        for name, value in cell.state_dict().items()
        if not name.startswith(("backbone.", "sparsity_mask"))
    }
    for k, linear in enumerate(linears):
        weights |= {f"backbone.{k}.{name}": value for name, value in linear.state_dict().items()}
    if mask is not None:
        weights["mask"] = cell.sparsity_mask
    layer.load_state_dict(weights)
    return layer


def _ltc(cell: Any, time_span: float) -> LTC:
    layer = LTC(
        cell.sensory_size,
        cell.state_size,
        outputs=cell.motor_size,
        unfolds=cell._ode_unfolds,
        time_span=time_span,
        positive=cell._implicit_param_constraints,
    )
    # a mapping that it does not have is ours at its initial value, the identity
    layer.load_state_dict(layer.state_dict() | cell.state_dict())
    return layer


def _activation(inside: list[nn.Module]) -> str:
    kinds = {type(part).__name__ for part in inside} - {"Linear", "Dropout"}
    for kind, name in (("LeCun", "lecun_tanh"), ("Tanh", "tanh")):
        if kinds <= {kind}:
            return name
    raise CompressError(
        f"ncps CfC with the backbone activation {', '.join(sorted(kinds))} is not supported: use "
        f"one of {', '.join(ACTIVATIONS)}"
    )

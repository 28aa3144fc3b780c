"""Weights that are computed from others: pruned by a mask, of weight norm or spectral norm.

Both of PyTorch's forms: attributes beside each other (``weight_orig`` and ``weight_mask``,
``weight_g`` and ``weight_v``, ``weight_orig`` and ``weight_u``), and
``torch.nn.utils.parametrizations``.
"""

import copy
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm, remove_spectral_norm
from torch.nn.utils.weight_norm import WeightNorm, remove_weight_norm

from edgeflow.errors import CompressError
from edgeflow.importers.messages import one_line

_OLD = re.compile(r"(.+)_(orig|mask|g|v|u)")
_NEW = re.compile(r"(.*?)parametrizations\.([^.]+)\.(original\d*|\d+\..+)")
#: Parts by the names of the old form.
_PARTS = {"original0": "g", "original1": "v", "original": "orig", "0._u": "u", "0._v": "v"}


def with_computed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors of a checkpoint, the parts of each computed weight replaced by it.

    They are evaluated as in a forward pass of evaluation mode; parts of what is not known stay.
    """
    groups: dict[str, dict[str, tuple[str, Tensor]]] = {}
    for key, tensor in tensors.items():
        if match := _NEW.fullmatch(key):
            base, part = match[1] + match[2], _PARTS.get(match[3], match[3])
        elif match := _OLD.fullmatch(key):
            base, part = match[1], match[2]
        else:
            continue
        groups.setdefault(base, {})[part] = key, tensor
    result = dict(tensors)
    for base, parts in groups.items():
        value = _computed({part: tensor for part, (_, tensor) in parts.items()})
        if value is not None and base not in tensors:
            for key, _ in parts.values():
                del result[key]
            result[base] = value
    return result


def _computed(parts: Mapping[str, Tensor]) -> Tensor | None:
    """Return the weight of its parts; None if they are none that are known, or do not fit."""
    if not all(p.is_floating_point() and p.layout == torch.strided for p in parts.values()):
        return None
    kind = next(iter(parts.values())).dtype
    v = {name: part.double() for name, part in parts.items()}
    try:
        if set(v) == {"orig", "mask"} and v["orig"].shape == v["mask"].shape:
            return (v["orig"] * v["mask"]).to(kind)
        if set(v) == {"g", "v"}:
            # over all axes but that of g, which is a single value if over all
            axes = [k for k in range(v["v"].ndim) if v["g"].ndim == 0 or v["g"].shape[k] == 1]
            norm = v["v"].square().sum(axes, keepdim=v["g"].ndim > 0).sqrt()
            return (v["v"] * (v["g"] / norm)).to(kind)
        if set(v) in ({"orig", "u", "v"}, {"orig", "u"}):
            return _of_spectral_norm(**v).to(kind)
    except (RuntimeError, LookupError, ValueError):  # shapes that do not belong together
        return None
    return None


def _of_spectral_norm(orig: Tensor, u: Tensor, v: Tensor | None = None) -> Tensor:
    """Return a weight over its largest singular value, of the vectors u and v."""
    axis = list(orig.shape).index(len(u))
    matrix = orig.movedim(axis, 0).flatten(1)
    v = torch.nn.functional.normalize(matrix.T @ u, dim=0) if v is None else v
    return orig / (u @ (matrix @ v))


def is_parametrised(module: nn.Module) -> bool:
    """Tell whether a part of a module computes its weights before each forward pass."""
    return any(_hooks(part) or parametrize.is_parametrized(part) for part in module.modules())


def _hooks(part: nn.Module) -> list[Any]:
    kinds = (WeightNorm, SpectralNorm, prune.BasePruningMethod)
    return [hook for hook in part._forward_pre_hooks.values() if isinstance(hook, kinds)]


def without_parametrisations(module: nn.Module) -> nn.Module:
    """Return a module whose layers hold the weights that they computed; a copy if there are any.

    Raises
    ------
    CompressError
        If it cannot be copied.
    """
    if not is_parametrised(module):
        return module
    # weights computed outside of no_grad have a history, which deepcopy refuses
    computed = {
        id(value): value.detach().clone()
        for part in module.modules()
        for value in vars(part).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }
    try:
        copied = copy.deepcopy(module, computed).eval()
        with torch.no_grad():
            for part in copied.modules():
                _plain(part)
    except Exception as error:  # whatever the module holds
        raise CompressError(
            f"the parametrisations of {type(module).__name__} cannot be taken off "
            f"({one_line(error)}): do it before, torch.nn.utils.parametrize.remove_parametrizations"
        ) from error
    return copied


def _plain(part: nn.Module) -> None:
    """Turn computed weights of one layer into parameters."""
    for hook in _hooks(part):
        if isinstance(hook, WeightNorm):
            remove_weight_norm(part, hook.name)
        elif isinstance(hook, SpectralNorm):
            remove_spectral_norm(part, hook.name)
        else:
            prune.remove(part, hook._tensor_name)
    if parametrize.is_parametrized(part):
        # taking them off deletes properties of the class, which a copy shares with the caller's
        kind = type(part)
        part.__class__ = type(kind.__name__, kind.__bases__, dict(kind.__dict__))
        for name in list(part.parametrizations):  # type: ignore[arg-type]
            parametrize.remove_parametrizations(part, name, leave_parametrized=True)

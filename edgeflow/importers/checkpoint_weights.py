"""Weights of a checkpoint for a module: found in what surrounds them, matched by name and shape."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy as _lazy

from edgeflow.errors import CompressError
from edgeflow.importers.messages import clipped, one_line, plain
from edgeflow.importers.parametrised import with_computed
from edgeflow.importers.weights_file import REMEDY, Foreign, read_weights_file

#: Segments of names that wrappers of modules put in.
_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
#: Names of averaged copies, which are for use, and of copies that were kept as the best.
_AVERAGED = re.compile(r"(^|[_.\W])(ema|swa|avg|average|averaged|shadow|polyak)([_.\W]|$)", re.I)
_BEST = re.compile(r"(^|[_.\W])best([_.\W]|$)", re.I)
#: Names of what is no model's.
_OTHERS = re.compile(r"optim|sched|scaler|grad", re.I)
#: Names of what averaged copies count and keep beside the weights.
_COUNTERS = {"n_averaged", "num_updates", "initted"}
#: Depth of dictionaries, and number of them, that are looked at.
_DEPTH, _MOST = 5, 2000
#: Most characters of a name in messages.
_NAME = 80


@dataclass(frozen=True)
class _Fit:
    """Tensors of a file for the names of a module.

    Parameters
    ----------
    place : str
        Keys of the dictionaries around the tensors, and the prefix taken off theirs.
    weights : dict
        By the module's names.
    missing, unexpected : list of str
    others : list of str
        Tensors without the prefix.
    """

    place: str
    weights: dict[str, Tensor]
    missing: list[str]
    unexpected: list[str]
    others: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        return not (self.missing or self.unexpected or self.misshapen)

    @property
    def rank(self) -> int:
        """0 of averaged weights, 1 of the best, 2 of others."""
        return 0 if _AVERAGED.search(self.place) else 1 if _BEST.search(self.place) else 2


def is_lazy(module: nn.Module) -> bool:
    """Tell whether a module has weights whose sizes are not known yet."""
    return any(_lazy(tensor) for tensor in (*module.parameters(), *module.buffers()))


def load_weights(module: nn.Module, path: Path) -> tuple[str, ...]:
    """Give a module the weights of a file: ``torch.save``'s, or ``.safetensors``.

    A prefix that all names share, on either side, does not count, nor do dictionaries around the
    weights and what stands beside them. Weights that the file has in parts (pruned, weight norm,
    spectral norm) are computed where the module has them whole. Numbers of another precision are
    converted. Nothing in the file is run.

    Returns
    -------
    tuple of str
        What was converted, chosen or left out, a line each.

    Raises
    ------
    CompressError
        If the file is none of weights, or they do not fit.
    """
    content = read_weights_file(path)
    wanted = {k: v for k, v in module.state_dict().items() if isinstance(v, Tensor)}
    if not wanted:
        raise CompressError(f"{path}: {type(module).__name__} has no weights: leave it out")
    fits = [
        fit for place, tensors in _dictionaries(content) for fit in _fits(place, tensors, wanted)
    ]
    whole = [fit for fit in fits if fit.whole]
    name = f"{path}: not a state_dict that fits {type(module).__name__}"
    if not fits:
        raise CompressError(f"{path}: not a state_dict: {_no_weights(content)}")
    if not whole:
        best = min(fits, key=lambda fit: (len(fit.missing), len(fit.misshapen), len(fit.place)))
        raise CompressError(f"{name}: {_mismatch(best, wanted)}")
    fit, notes = _chosen(path, whole)
    weights = {}
    for key, tensor in fit.weights.items():
        if problem := _not_values(tensor, wanted[key]):
            raise CompressError(f"{name}: {_short(key)} {problem}")
        weights[key] = tensor.to_dense() if tensor.layout != torch.strided else tensor
    try:
        module.load_state_dict(weights, strict=False)
    except Exception as error:  # torch, or the module's own code
        raise CompressError(f"{name}: {one_line(error)}") from error
    notes += _conversions(path, weights, wanted)
    if fit.others:
        notes += (
            f"{path}: {len(fit.others)} other tensors, {_short(fit.others[0])} the first, are not "
            f"in {type(module).__name__} and were left out",
        )
    return notes


def _dictionaries(content: Any, place: str = "") -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield the dictionaries with tensors in what a file holds, with their place."""
    waiting, seen = [(place, content, 0)], 0
    while waiting and seen < _MOST:
        place, value, depth = waiting.pop(0)
        seen += 1
        if isinstance(value, list | tuple):
            value = dict(enumerate(value))
        if not isinstance(value, Mapping):
            continue
        tensors = {k: v for k, v in value.items() if isinstance(k, str) and _is_stored(v)}
        if tensors:
            yield place, tensors
        if depth < _DEPTH:
            waiting += [
                (f"{place}.{key}" if place else str(key), inner, depth + 1)
                for key, inner in value.items()
                if not _OTHERS.search(str(key)) and not isinstance(inner, Tensor | str)
            ]


def _is_stored(value: Any) -> bool:
    """Tell whether something is a tensor with a number in the file for each of its own."""
    if not isinstance(value, Tensor):
        return False
    if value.layout != torch.strided or value.is_meta:
        return True
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _fits(place: str, tensors: dict[str, Tensor], wanted: dict[str, Tensor]) -> Iterator[_Fit]:
    """Yield how tensors fit a module: as they are named, or by what their names end with."""
    found = _by_prefix(place, tensors, wanted)
    computed = with_computed(tensors)
    if not any(fit.whole for fit in found) and computed.keys() != tensors.keys():
        found = [*_by_prefix(place, computed, wanted), *found]
    yield from found


def _by_prefix(place: str, tensors: dict[str, Tensor], wanted: dict[str, Tensor]) -> list[_Fit]:
    given, own = _unwrapped(tensors), _unwrapped(wanted)
    first, pairs = next(iter(own)), Counter({("", ""): 1})
    shared = [first[: k + 1] for k, c in enumerate(first) if c == "."]
    for ours in ("", *(p for p in shared if all(key.startswith(p) for key in own))):
        for key in list(own)[:50]:
            end = key[len(ours) :]
            for name in given:
                if name == end or name.endswith(f".{end}"):
                    pairs[name.removesuffix(end), ours] += 1
    found = [_fit(place, given, own, *pair) for pair, _ in pairs.most_common(20)]
    as_named = [fit for fit in found if fit.whole and fit.place == place]
    return as_named[:1] or found


def _unwrapped(tensors: dict[str, Tensor]) -> dict[str, tuple[str, Tensor]]:
    """Return names without the segments of wrappers, unless two become one."""
    result = {
        ".".join(part for part in key.split(".") if part not in _WRAPPERS): (key, tensor)
        for key, tensor in tensors.items()
    }
    if len(result) < len(tensors):
        return {key: (key, tensor) for key, tensor in tensors.items()}
    return result


def _fit(
    place: str,
    given: dict[str, tuple[str, Tensor]],
    own: dict[str, tuple[str, Tensor]],
    theirs: str,
    ours: str,
) -> _Fit:
    """Return how names fit when the file's begin with one prefix and the module's with another."""
    named = {ours + k.removeprefix(theirs): v for k, v in given.items() if k.startswith(theirs)}
    found = {key: named[key][1] for key in own if key in named}
    there = {(own[key][1].data_ptr(), own[key][1].shape) for key in found if not _lazy(own[key][1])}
    missing = [
        name
        for key, (name, tensor) in own.items()
        if key not in found
        and not key.endswith("num_batches_tracked")  # older ones do not have it
        and (_lazy(tensor) or (tensor.data_ptr(), tensor.shape) not in there)  # tied: it is there
    ]
    others = [
        name for k, (name, _) in given.items() if not k.startswith(theirs) and k not in _COUNTERS
    ]
    unexpected = [name for k, (name, _) in named.items() if k not in own and k not in _COUNTERS]
    misshapen = [
        f"{_short(own[key][0])} is {list(tensor.shape)} in the file, {list(own[key][1].shape)} in "
        "the model"
        for key, tensor in found.items()
        if not _lazy(own[key][1]) and tensor.shape != own[key][1].shape
    ]
    return _Fit(
        f"{place}.{theirs}".strip(".") if theirs else place,
        {own[key][0]: tensor for key, tensor in found.items()},
        missing,
        unexpected,
        others,
        misshapen,
    )


def _chosen(path: Path, fits: list[_Fit]) -> tuple[_Fit, tuple[str, ...]]:
    """Return the weights to take, and a note if there are others that fit."""
    fits = sorted(fits, key=lambda fit: (fit.rank, len(fit.others)))
    chosen = fits[0]
    rivals = {fit.place: fit for fit in fits[1:] if not _equal(fit.weights, chosen.weights)}
    if not rivals:
        return chosen, ()
    names = ", ".join(f"'{_short(place)}'" for place in list(rivals)[:3])
    if any(fit.rank == chosen.rank and fit.others for fit in rivals.values()):
        raise CompressError(
            f"{path}: the weights of '{_short(chosen.place)}' fit, those of {names}, too: "
            f"{REMEDY}, of the one that is meant"
        )
    return chosen, (
        f"{path}: the weights of '{_short(chosen.place)}' were taken, not those of {names}, which "
        f"fit, too: {REMEDY}, if another is meant",
    )


def _equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(
        key in other and other[key].dtype == value.dtype and torch.equal(value, other[key])
        for key, value in one.items()
    )


def _not_values(tensor: Tensor, own: Tensor) -> str:
    """Return why a tensor cannot be a weight; "" if it can."""
    if tensor.is_meta:
        return "has no values: it was saved from the device 'meta'"
    if tensor.is_quantized or own.is_floating_point() > tensor.is_floating_point():
        kind = str(tensor.dtype).removeprefix("torch.")
        return f"is {kind}: give the weights from before quantisation, in floats"
    return ""


def _conversions(
    path: Path, weights: dict[str, Tensor], wanted: dict[str, Tensor]
) -> tuple[str, ...]:
    """Return a note of floats whose precision is another than the module's."""
    kinds = {
        (str(tensor.dtype).removeprefix("torch."), str(wanted[key].dtype).removeprefix("torch."))
        for key, tensor in weights.items()
        if tensor.is_floating_point() and tensor.dtype != wanted[key].dtype
    }
    return tuple(f"{path}: its weights are {a}: converted to {b}" for a, b in sorted(kinds))


def _mismatch(fit: _Fit, wanted: dict[str, Tensor]) -> str:
    """Return what does not fit: the first missing and unexpected names and shapes, and counts."""
    parts = []
    if fit.missing:
        first = fit.missing[0]
        shape = "" if _lazy(wanted[first]) else f" {list(wanted[first].shape)}"
        parts.append(f"{len(fit.missing)} missing, {_short(first)}{shape} the first")
    extra = [*fit.unexpected, *(fit.others if fit.missing else [])]
    if extra:
        parts.append(f"{len(extra)} not in the model, {_short(extra[0])} the first")
    if fit.misshapen:
        parts.append(f"{len(fit.misshapen)} of another shape: {fit.misshapen[0]}")
    inside = f" (of its '{_short(fit.place)}')" if fit.place else ""
    return f"of the {len(wanted)} weights{inside} {'; '.join(parts)}"


def _no_weights(content: Any) -> str:
    """Return why a file has no weights."""
    found = [content, *content.values()] if isinstance(content, Mapping) else [content]
    module = next((one for one in found if isinstance(one, Foreign)), None)
    if module is not None:
        return f"a pickled {_short(module.name)}, whose code is not run: {REMEDY}"
    if isinstance(content, Tensor):
        return f"a single tensor {list(content.shape)}: {REMEDY}"
    if isinstance(content, Mapping):
        keys = ", ".join(_short(str(key)) for key in list(content)[:5])
        return f"a dictionary without tensors (keys: {keys or 'none'}): {REMEDY}"
    return f"a {type(content).__name__}: {REMEDY}"


def _short(name: str) -> str:
    return clipped(plain(name), _NAME)

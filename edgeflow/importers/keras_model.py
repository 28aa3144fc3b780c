"""Models of Keras, from their files, as chains or graphs of layers."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgeflow.cells.chain import FloatChain
from edgeflow.cells.gru_reset_before import GRUResetBefore
from edgeflow.errors import CompressError
from edgeflow.importers.assembly import Assembly
from edgeflow.importers.check import listed
from edgeflow.importers.finish import Description, finished
from edgeflow.importers.keras_attention import POOLING, pooled
from edgeflow.importers.keras_chain import INPUT, SLICES, Part, input_shape, parts_of
from edgeflow.importers.keras_file import open_model
from edgeflow.importers.keras_functions import ACTIVATIONS, function_of
from edgeflow.importers.keras_rules import (
    ENDINGS,
    INERT,
    OVER_TIME,
    POOLS,
    SUPPORTED,
    Place,
    activation_of,
    pool_sizes,
    time_after,
    unsupported_reason,
)
from edgeflow.importers.messages import importing
from edgeflow.importers.points import Point, side_by_side
from edgeflow.quantization import Floats

#: Keras's gates, in torch's order: z, r, h of a GRU; i, f, c, o of an LSTM are in it.
_GATES = {"GRU": (1, 0, 2), "LSTM": (0, 1, 2, 3), "SimpleRNN": (0,)}
#: Smallest standard deviation of a ``Normalization``.
_LEAST_STD = 1e-7


def from_keras(
    path: str | Path, example: NDArray[np.float32], description: Description | None = None
) -> FloatChain:
    """Read a whole model that Keras saved: ``.keras``, or ``.h5`` of Keras 2 or 3.

    Layers are read from the configuration, weights from HDF5; no Keras is needed and no code of
    the file is run. Gates and axes are put in the order of torch. A softmax or sigmoid at the end
    is left out with a note.

    Parameters
    ----------
    path : path
    example : float32 array [n, time, channels]
        Samples; their shape must suit the model's input.
    description : Description, optional

    Raises
    ------
    CompressError
        If the file cannot be read, or has unsupported layers: all are listed.
    ToolMissingError
        If the package ``h5py`` is not installed.
    """
    path, described = Path(path), description or Description()
    with importing(path), open_model(path) as (model, weights):
        (parts, outputs), shape = parts_of(model, weights), input_shape(model)
        parts = pooled(parts, outputs)
        _check_input(shape, example.shape[-1])
        window = described.window or example.shape[1]
        time = shape[1] if len(shape) == 3 else None
        _check_parts(parts, outputs, example.shape[-1], time)
        assembly = Assembly(example.shape[-1])
        points = {INPUT: assembly.point}
        for number, part in enumerate(parts):
            final = _is_final(parts, number, outputs)
            read = [points[key] for key in part.reads]
            try:
                points[part.gives] = _added(assembly, part, read, window, final)
            except (CompressError, ValueError) as error:  # ValueError: sizes that do not fit
                raise CompressError(f"{part}: {error}") from error
        assembly.point = side_by_side([points[key] for key in outputs], "the output")
        if len(outputs) > 1:
            assembly.several(outputs, described.classes)
        assembly.notes += _notes(parts, time, window)
        return finished(assembly, described, path.stem)


def _check_input(shape: tuple[Any, ...], channels: int) -> None:
    sizes = ", ".join("any" if size is None else str(size) for size in shape)
    if shape and len(shape) != 3:
        raise CompressError(
            f"its input is [{sizes}]: make a model of [n, time, channels], for samples of "
            f"{channels} channels"
        )
    if shape and shape[2] not in (None, channels):
        raise CompressError(
            f"its input is [{sizes}], of {shape[2]} channels, the data has {channels}: choose "
            "those that it was trained on"
        )


def _check_parts(
    parts: list[Part], outputs: tuple[str, ...], channels: int, time: int | None
) -> None:
    problems = []
    # whether a value is one of every step, its width, and the steps of a window
    known = {INPUT: (True, channels, time)}
    for k, part in enumerate(parts):
        read = [known[key] for key in part.reads]
        steps, widths = all(step for step, _, _ in read), [width for _, width, _ in read]
        time = next((of_read for _, _, of_read in read), time)
        width = sum(widths) if part.kind == "Concatenate" else next(iter(widths), channels)
        place = Place(steps, width, time, _is_final(parts, k, outputs), len(outputs) > 1)
        if reason := unsupported_reason(part, place):
            problems.append(f"{part}: {reason}")
        given = int(part.options.get("units") or part.options.get("filters") or width)
        known[part.gives] = steps and not _takes_last(part), given, time_after(part, time)
    if problems:
        raise CompressError(
            f"these layers cannot be compressed: {listed(problems)}. Supported are {SUPPORTED}"
        )


def _is_final(parts: list[Part], number: int, outputs: tuple[str, ...]) -> bool:
    """Tell whether a layer ends a model of one output."""
    return len(outputs) == 1 and all(later.kind in INERT for later in parts[number + 1 :])


def _takes_last(part: Part) -> bool:
    """Tell whether what follows a layer reads the last step only, which each step may be."""
    if part.kind in _GATES:
        return not part.options.get("return_sequences") or part.output > 0
    return part.kind in (*OVER_TIME, *SLICES, POOLING)


def _notes(parts: list[Part], time: int | None, window: int) -> list[str]:
    notes = []
    if time is not None and time != window:
        notes.append(
            f"the model was made for windows of {time} samples, the data's have {window}: it "
            "decides from those"
        )
    if stateful := [part.name for part in parts if part.options.get("stateful")]:
        notes.append(
            f"{', '.join(stateful)}: stateful in Keras; here the state starts at zero in a window"
        )
    policies = {_policy(part.options.get("dtype")) for part in parts}
    if halves := sorted(p for p in policies if "16" in p):
        notes.append(f"{', '.join(halves)} in Keras; its weights are read as float32")
    return notes


def _policy(given: Any) -> str:
    given = given.get("config") if isinstance(given, dict) else given
    return str(given.get("name") if isinstance(given, dict) else given)


def _added(chain: Assembly, part: Part, read: list[Point], window: int, final: bool) -> Point:
    """Add a layer, which has been checked, behind what it reads; return what it gives.

    A sigmoid is left out where it is `final`.
    """
    if part.kind in ("Add", "Average", "Subtract"):
        share = 1 / len(read) if part.kind == "Average" else 1.0
        second = -share if part.kind == "Subtract" else share
        chain.sum(part.name, read, [share, *[second] * (len(read) - 1)])
    elif part.kind == "Multiply":
        for point in read[1:]:
            chain.product(part.name, [read[0], point])
            read[0] = chain.point
    elif part.kind == POOLING:
        chain.attention_pool(part.name, *read)
    else:
        chain.point = side_by_side(read, str(part)) if len(read) > 1 else read[0]
        _add(chain, part, window, final)
    return chain.point


def _add(chain: Assembly, part: Part, window: int, final: bool) -> None:
    if part.kind in _GATES:
        _add_recurrent(chain, part)
    elif part.kind == "GlobalAveragePooling1D":
        chain.mean(part.name, window)
    elif part.kind == "GlobalMaxPooling1D":
        chain.max(part.name)
    elif add := _ADDS.get(part.kind):
        add(chain, part)
    if (function := function_of(part)) is not None:
        chain.function(part.name, function)
        return
    ending = {"Softmax": "softmax"}.get(part.kind) or (
        "linear" if part.kind in _GATES else activation_of(part.options)
    )
    if ending in ENDINGS and (final or ending != "sigmoid"):
        chain.end(ending)
    elif ending in ACTIVATIONS:
        name = part.name if part.kind == "Activation" else f"{part.name}_{ending}"
        chain.function(name, ACTIVATIONS[ending]())


def _add_recurrent(chain: Assembly, part: Part) -> None:
    options, gates = part.options, _GATES[part.kind]
    kernel, recurrent, bias = _weights(part, "kernel", "recurrent_kernel", use_bias="bias")

    def torch_rows(columns: Floats) -> Floats:
        parts = np.split(columns, len(gates), axis=-1)
        return np.concatenate([parts[g] for g in gates], axis=-1).T

    rows = len(gates) * int(options["units"])
    _check_shape("kernel", kernel, (chain.width, rows))
    _check_shape("recurrent_kernel", recurrent, (rows // len(gates), rows))
    # with reset_after a GRU has a bias of the state's products, too
    after = part.kind == "GRU" and options.get("reset_after", np.ndim(bias) == 2)
    if bias is not None:
        _check_shape("bias", bias, (2, rows) if after else (rows,))
    first, second = (None, None) if bias is None else bias if after else (bias, None)
    kind: Callable[..., nn.Module] = nn.LSTM
    if part.kind == "SimpleRNN":
        kind = partial(nn.RNN, nonlinearity=activation_of(options, "tanh"))
    elif part.kind == "GRU":
        kind = nn.GRU if after else GRUResetBefore
    biases = (None if b is None else torch_rows(b) for b in (first, second))
    chain.recurrent(part.name, kind, torch_rows(kernel), torch_rows(recurrent), *biases)


def _add_dense(chain: Assembly, part: Part) -> None:
    kernel, bias = _weights(part, "kernel", use_bias="bias")
    _check_shape("kernel", kernel, (chain.width, part.options["units"]))
    chain.linear(part.name, kernel.T, bias)


def _add_conv(chain: Assembly, part: Part) -> None:
    kernel, bias = _weights(part, "kernel", use_bias="bias")
    groups = int(part.options.get("groups", 1))
    shape = (*kernel.shape[:1], chain.width // groups, part.options["filters"])
    _check_shape("kernel", kernel, shape)
    stride, dilation = (
        int(np.squeeze(part.options.get(key, 1))) for key in ("strides", "dilation_rate")
    )
    past = 0 if part.options.get("padding") == "valid" else (len(kernel) - 1) * dilation
    chain.conv(
        part.name, kernel.transpose(2, 1, 0), bias, dilation, past, stride=stride, groups=groups
    )


def _add_pool(chain: Assembly, part: Part) -> None:
    add = chain.max_pool if part.kind == "MaxPooling1D" else chain.avg_pool
    add(part.name, *pool_sizes(part))


def _add_batch_norm(chain: Assembly, part: Part) -> None:
    gain, offset, mean, variance = _weights(
        part, scale="gamma", center="beta", names=("moving_mean", "moving_variance")
    )
    factor = (1.0 if gain is None else gain) / np.sqrt(variance + part.options["epsilon"])
    chain.affine(factor, (0.0 if offset is None else offset) - mean * factor, shared=part.shared)


def _add_layer_norm(chain: Assembly, part: Part) -> None:
    gain, offset = _weights(part, scale="gamma", center="beta")
    chain.layer_norm(part.name, gain, offset, part.options["epsilon"])


def _add_prelu(chain: Assembly, part: Part) -> None:
    (slope,) = _weights(part, "alpha")
    chain.prelu(part.name, slope)


def _add_normalization(chain: Assembly, part: Part) -> None:
    mean, variance = (part.options.get(key) for key in ("mean", "variance"))
    if mean is None:
        mean, variance = part.weights.arrays(["mean", "variance"])
    mean = np.asarray(mean, dtype=np.float64).reshape(-1)
    std = np.maximum(np.sqrt(np.asarray(variance, dtype=np.float64).reshape(-1)), _LEAST_STD)
    if part.options.get("invert"):
        chain.affine(std, mean, shared=part.shared)
    else:
        chain.affine(1 / std, -mean / std, shared=part.shared)


def _add_rescaling(chain: Assembly, part: Part) -> None:
    chain.affine(part.options["scale"], part.options.get("offset", 0.0), shared=part.shared)


def _weights(part: Part, *first: str, names: tuple[str, ...] = (), **optional: str) -> list[Any]:
    """Return arrays in Keras's order, None for an optional one whose option is False."""
    given = {name: bool(part.options.get(option, True)) for option, name in optional.items()}
    wanted = [*first, *(name for name, there in given.items() if there), *names]
    values = dict(zip(wanted, part.weights.arrays(wanted), strict=True))
    return [values.get(name) for name in (*first, *given, *names)]


def _check_shape(name: str, value: Floats, shape: tuple[Any, ...]) -> None:
    if value.shape != shape:
        raise CompressError(
            f"its {name} is {list(value.shape)}, not {list(shape)} as its inputs and the "
            "configuration say: save the model again"
        )


_ADDS: Mapping[str, Callable[[Assembly, Part], None]] = {
    "Dense": _add_dense,
    "Conv1D": _add_conv,
    **dict.fromkeys(POOLS, _add_pool),
    "BatchNormalization": _add_batch_norm,
    "LayerNormalization": _add_layer_norm,
    "PReLU": _add_prelu,
    "Normalization": _add_normalization,
    "Rescaling": _add_rescaling,
}

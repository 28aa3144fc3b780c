"""Which layers of Keras have a step of integers, and what to do about the others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgeflow.importers.keras_attention import POOLING
from edgeflow.importers.keras_chain import JOINS, SLICES, Part, class_of, short
from edgeflow.importers.keras_functions import ACTIVATIONS
from edgeflow.importers.refusals import ATTENTION

SUPPORTED = (
    "GRU, LSTM, SimpleRNN and RNN of their cells, Dense, causal Conv1D, MaxPooling1D, "
    "AveragePooling1D, BatchNormalization, LayerNormalization, Normalization, Rescaling, "
    "GlobalAveragePooling1D, GlobalMaxPooling1D, TimeDistributed, relu, tanh, sigmoid and their "
    "like, Add, Subtract, Average, Multiply, Concatenate, Dropout and noise, and Softmax at the end"
)
#: Layers that do nothing once a model is trained.
INERT = (
    *("Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout", "AlphaDropout"),
    *("ActivityRegularization", "Identity"),
)
#: Activations that may end a model: they change no decision.
ENDINGS = ("softmax", "log_softmax", "sigmoid")
_STEPS = "it makes or cuts steps: leave it out"
#: Layers that make one value of all steps.
OVER_TIME = ("GlobalAveragePooling1D", "GlobalMaxPooling1D")
_WINDOW = "it needs the whole window: use return_sequences=False or GlobalAveragePooling1D"
#: Layers that pool over time, windows of successive steps.
POOLS = ("MaxPooling1D", "AveragePooling1D")
_CUDNN = "load the model in Keras 2, and save it with a layer of the plain class"
_ADVICE = {
    **dict.fromkeys(("Maximum", "Minimum"), "use Add, Multiply or Concatenate"),
    "Dot": "use Dot(axes=1) of Softmax(axis=1) and values, or Add, Multiply or Concatenate",
    **dict.fromkeys(("Attention", "AdditiveAttention", "MultiHeadAttention"), ATTENTION),
    **dict.fromkeys(("UpSampling1D", "Cropping1D"), _STEPS),
    **dict.fromkeys(("GlobalMaxPooling1D", "RepeatVector"), _WINDOW),
    **dict.fromkeys(("CuDNNGRU", "CuDNNLSTM"), _CUDNN),
    "Bidirectional": "it needs the future: use a forward layer",
    "Embedding": "use one-hot channels and Dense, which do the same",
    "Lambda": "it is Python code, which is never run: use a layer",
    "TFOpLambda": "use a layer of Keras in place of an operation",
    "Masking": "leave it out, and cut windows without padding",
    "ZeroPadding1D": "leave it out, and use Conv1D with padding='causal'",
    "SeparableConv1D": "use Conv1D",
    "DepthwiseConv1D": "use Conv1D",
}


@dataclass(frozen=True)
class Place:
    """Where in a chain a layer stands.

    Parameters
    ----------
    steps : bool
        It reads every step, not the last alone.
    width : int
        Channels that it reads.
    time : int or None
        Steps of a window, where the model fixes them.
    final : bool
        What comes after it does nothing.
    several : bool
        The model has several outputs.
    """

    steps: bool
    width: int
    time: int | None
    final: bool
    several: bool = False

    @property
    def ending(self) -> str:
        """Where a function stands that may only end a model of one output."""
        return "at the end of one of several outputs" if self.several else "before other layers"


def unsupported_reason(part: Part, place: Place) -> str | None:
    """Return why a layer cannot be part of the chain, and what to do; None if it can."""
    if part.problem or part.kind in INERT:
        return part.problem or None
    check = _CHECKS.get(part.kind)
    if check is None:
        custom = "." in part.kind or ">" in part.kind
        other = "its class is not Keras's, and no code is in the file" if custom else "leave it out"
        return _ADVICE.get(part.kind, other)
    if part.each_step and part.kind not in _POINTWISE:
        return "inside of TimeDistributed it starts anew at each step: put it outside"
    return check(part, place)


def activation_of(
    options: Mapping[str, Any], default: str = "linear", key: str = "activation"
) -> str:
    """Return the name of an activation, which may be a layer of its own.

    Parameters
    ----------
    options : mapping
    default : str
        Where the options have none, as they had before there was a choice.
    key : str
    """
    given = options.get(key, default)
    if isinstance(given, dict):
        name, own = class_of(given), given.get("config") or {}
        if name == "function" and isinstance(own, str):
            return own
        plain = name in ("ReLU", "Softmax") and _plain_relu(own) and _last_axis(own, 3)
        return name.lower() if plain else name
    return "linear" if given is None else str(given)


def _activation(part: Part, place: Place) -> str | None:
    name = activation_of(part.options)
    if name in ("linear", *ACTIVATIONS) or (name in ENDINGS and place.final):
        return None
    if name == "hard_sigmoid":
        return f"{name}, which Keras 2 and 3 compute differently: use sigmoid"
    if name in ENDINGS:
        return f"{name} {place.ending}: use relu, tanh or sigmoid, or none"
    return f"activation '{short(name)}': use relu, tanh or sigmoid, or none"


def _dense(part: Part, place: Place) -> str | None:
    return _activation(part, place)


def _conv(part: Part, place: Place) -> str | None:
    options = part.options
    taps, stride, _ = _conv_sizes(part)
    if not place.steps:
        return "it reads the last step only: put it before"
    if options.get("data_format") == "channels_first":
        return "data_format='channels_first': use channels_last, [n, time, channels]"
    if options.get("padding") not in ("causal", "valid") and (taps > 1 or stride > 1):
        return (
            f"padding='{options.get('padding')}' reads the future: train it with padding='causal' "
            "or 'valid'"
        )
    return _activation(part, place)


def _conv_sizes(part: Part) -> tuple[int, int, int]:
    """Return taps, stride and dilation."""
    taps, stride, dilation = (
        _single(part.options.get(key, 1)) for key in ("kernel_size", "strides", "dilation_rate")
    )
    return taps, stride, dilation


def pool_sizes(part: Part) -> tuple[int, int]:
    """Return the steps that a pooling reads, and its stride."""
    steps = _single(part.options.get("pool_size", 2))
    return steps, _single(part.options.get("strides") or steps)


def _pooling(part: Part, place: Place) -> str | None:
    if not place.steps:
        return "it reads the last step only: put it before"
    if part.options.get("data_format") == "channels_first":
        return "data_format='channels_first': use channels_last, [n, time, channels]"
    if part.options.get("padding", "valid") != "valid":
        return f"padding='{part.options['padding']}': train it with padding='valid'"
    return None


def time_after(part: Part, time: int | None) -> int | None:
    """Return the steps that a layer gives of so many, where the model fixes them."""
    if time is None or part.kind not in ("Conv1D", *POOLS):
        return time
    stride, lost = 1, 0
    if part.kind in POOLS:
        steps, stride = pool_sizes(part)
        lost = steps - 1
    else:
        taps, stride, dilation = _conv_sizes(part)
        lost = (taps - 1) * dilation if part.options.get("padding") == "valid" else 0
    return max(-(-(time - lost) // stride), 0)


def _recurrent(part: Part, place: Place) -> str | None:
    options = part.options
    problems = []
    if not place.steps:
        problems.append("it reads the last step only: use return_sequences=True before it")
    for option in ("go_backwards", "time_major"):
        if options.get(option):
            problems.append(f"{option}=True: train it without")
    if part.output > 1:
        problems.append("its cell state is read: use its output")
    known = ("tanh", "relu") if part.kind == "SimpleRNN" else ("tanh",)
    if (name := activation_of(options, "tanh")) not in known:
        problems.append(f"activation '{short(name)}': use {' or '.join(known)}")
    gates = activation_of(options, "sigmoid", "recurrent_activation")
    if part.kind != "SimpleRNN" and gates != "sigmoid":
        problems.append(f"recurrent_activation '{short(gates)}': train it with sigmoid")
    return ", ".join(problems) or None


def _norm(part: Part, place: Place) -> str | None:
    if not _last_axis(part.options, 3 if place.steps and not part.each_step else 2):
        return f"axis={part.options.get('axis')}: use axis=-1, the channels"
    for option in ("rms_scaling", "renorm"):
        if part.options.get(option):
            return f"{option}=True: train it without"
    return None


def _scaling(part: Part, place: Place) -> str | None:
    if part.options.get("axis", -1) is None:
        return None
    return _norm(part, place)


def _relu(part: Part, place: Place) -> str | None:
    plain = _plain_relu(part.options)
    return None if plain else "max_value, negative_slope or threshold: use a plain ReLU"


def _prelu(part: Part, place: Place) -> str | None:
    if place.steps and 1 not in (part.options.get("shared_axes") or ()):
        return "its slopes are of single steps: train it with shared_axes=[1]"
    return None


def _softmax(part: Part, place: Place) -> str | None:
    if not place.final:
        return f"softmax {place.ending}: use relu, or none"
    return _norm(part, place)


def _over_time(part: Part, place: Place) -> str | None:
    if not place.steps:
        return "it reads the last step only: use return_sequences=True before it"
    if part.options.get("keepdims"):
        return "keepdims=True: use keepdims=False"
    if part.options.get("data_format") == "channels_first":
        return "data_format='channels_first' is one over the channels: use channels_last"
    return None


def _flatten(part: Part, place: Place) -> str | None:
    return None if part.each_step or not place.steps else _WINDOW


def _reshape(part: Part, place: Place) -> str | None:
    target = list(part.options.get("target_shape", ()))
    steps = place.steps and not part.each_step
    same = [[t, c] for t in (place.time, -1) for c in (place.width, -1)] if steps else []
    same += [] if steps else [[place.width], [-1]]
    if target in same and target != [-1, -1]:
        return None
    return f"target_shape={target}: leave it out, and feed [n, time, channels]"


def _permute(part: Part, place: Place) -> str | None:
    same = list(part.options.get("dims", ())) == ([1, 2] if place.steps else [1])
    return None if same else "it moves the time axis: feed [n, time, channels]"


def _slice(part: Part, place: Place) -> str | None:
    index: list[Any] = part.options["index"]
    batch, *rest = [*index, None, None]
    last = rest[0] == -1 or (place.time and rest[0] == place.time - 1)
    if place.steps and batch is None and last and not any(one is not None for one in rest[1:]):
        return None
    return "only the last step can be read: use x[:, -1]"


def _concatenate(part: Part, place: Place) -> str | None:
    if _last_axis(part.options, 3 if place.steps else 2):
        return None
    return f"axis={part.options.get('axis')}: use axis=-1, the channels"


def _join(part: Part, place: Place) -> str | None:
    return None


def _single(value: Any) -> int:
    (number,) = value if isinstance(value, list) else [value]
    return int(number)


def _last_axis(options: Mapping[str, Any], dimensions: int) -> bool:
    axis = options.get("axis", -1)
    axes = axis if isinstance(axis, list) else [axis]
    return axes in ([-1], [dimensions - 1])


def _plain_relu(options: Mapping[str, Any]) -> bool:
    return options.get("max_value") is None and not any(
        options.get(key) for key in ("negative_slope", "threshold")
    )


_CHECKS: dict[str, Callable[[Part, Place], str | None]] = {
    **dict.fromkeys(("GRU", "LSTM", "SimpleRNN"), _recurrent),
    "Dense": _dense,
    "Conv1D": _conv,
    **dict.fromkeys(POOLS, _pooling),
    **dict.fromkeys(("BatchNormalization", "LayerNormalization"), _norm),
    **dict.fromkeys(("Normalization", "Rescaling"), _scaling),
    "Activation": _activation,
    "ReLU": _relu,
    **dict.fromkeys(("ELU", "LeakyReLU"), _join),
    "PReLU": _prelu,
    "Softmax": _softmax,
    **dict.fromkeys((*OVER_TIME, POOLING), _over_time),
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    **dict.fromkeys(SLICES, _slice),
    **dict.fromkeys((kind for kind in JOINS if kind != "Dot"), _join),
    "Concatenate": _concatenate,
}
_POINTWISE = (
    *("Dense", "Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax", "Flatten", "Reshape"),
    *("BatchNormalization", "LayerNormalization", "Normalization", "Rescaling"),
    *(kind for kind in JOINS if kind != "Dot"),
)

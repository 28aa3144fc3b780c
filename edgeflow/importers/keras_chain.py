"""A Keras model's configuration as its layers, in order, and what each of them reads."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgeflow.errors import CompressError
from edgeflow.importers.keras_weights import Weights

#: Classes of models that are made of layers; Functional was "Model" before Keras 2.4.
_MODELS = ("Sequential", "Functional", "Model")
#: Layers that join what they read.
JOINS = ("Add", "Subtract", "Average", "Multiply", "Concatenate", "Dot")
#: Key of the samples.
INPUT = ""
#: Packages whose layers are Keras's own.
_OWN = ("keras", "tf_keras", "tensorflow", "builtins")
RECURRENT = ("GRU", "LSTM", "SimpleRNN")
#: ``x[index]`` of Keras 3 and 2, with the index among the arguments of the call.
SLICES = ("GetItem", "SlicingOpLambda")
#: Options of a call that change nothing where their value is False or None.
_DEFAULTS = (None, False)


@dataclass(frozen=True)
class Part:
    """A layer of a chain or a graph.

    Parameters
    ----------
    name, kind : str
        Its name, and its class: a cell in an ``RNN`` is the layer that it makes, GRU for GRUCell.
    options : mapping
        Its configuration.
    weights : Weights
    sources : tuple of (str, int)
        In a functional model, the layers that it reads, and which of their outputs.
    output : int
        Which of its own outputs is read.
    each_step : bool
        It is inside of a ``TimeDistributed``.
    problem : str
        Why it cannot be part of a chain, for what is around it; "" if it can.
    reads : tuple of str
        Keys of the values that it reads: `INPUT`, or what another layer gives.
    gives : str
        Key of its own.
    shared : bool
        Others read what it reads, too.
    """

    name: str
    kind: str
    options: Mapping[str, Any]
    weights: Weights
    sources: tuple[tuple[str, int], ...] = ()
    output: int = 0
    each_step: bool = False
    problem: str = ""
    reads: tuple[str, ...] = ()
    gives: str = ""
    shared: bool = False

    def __str__(self) -> str:
        return f"{short(self.name)} ({short(self.kind)})"


def short(text: str) -> str:
    """Return a name of the file for messages."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def parts_of(model: Mapping[str, Any], weights: Weights) -> tuple[list[Part], tuple[str, ...]]:
    """Return the layers from input to output, those of models inside spliced in, and the outputs.

    Each layer stands behind those that it reads. Outputs are keys, as of `Part.reads`.

    Raises
    ------
    CompressError
        If it is code rather than layers, or has several inputs.
    """
    kind = class_of(model)
    if kind not in _MODELS:
        raise CompressError(
            f"its model is of the class {short(kind)}, which is Python code that is not in the "
            "file: rebuild it as keras.Sequential or keras.Model(inputs, outputs), with its weights"
        )
    options = _options(model)
    parts = list(_layers(options, weights))
    outputs: tuple[str, ...]
    if kind == "Sequential":
        parts = _in_a_row([part for part in parts if part.kind != "InputLayer"], (INPUT,))
        outputs = (parts[-1].gives if parts else INPUT,)
    else:
        parts, outputs = _paths(options, parts)
    whole = [inner for part in parts for inner in _expanded(part)]
    readers = Counter([key for part in whole for key in part.reads] + [*outputs])
    return [replace(p, shared=any(readers[key] > 1 for key in p.reads)) for p in whole], outputs


def _in_a_row(parts: Sequence[Part], reads: tuple[str, ...], last: str = "") -> list[Part]:
    """Return parts each of which reads the one before it; `last` is the key of what they give."""
    result = []
    for number, part in enumerate(parts):
        end = last if number == len(parts) - 1 else f"{last}/{part.name}"
        result.append(replace(part, reads=reads, gives=end if last else part.name))
        reads = (result[-1].gives,)
    return result


def input_shape(model: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the shape of the input, None where it is free; () if the file does not say."""
    options = _options(model)
    first: dict[str, Any] = next(iter(options["layers"]), {})
    own = first.get("config")
    inner = input_shape(first) if class_of(first) in _MODELS else ()
    for place, key in (
        (own, "batch_shape"),
        (own, "batch_input_shape"),
        (options, "build_input_shape"),
        (first.get("build_config"), "input_shape"),
    ):
        shape = place.get(key) if isinstance(place, dict) else None
        if not inner and isinstance(shape, list):
            return tuple(shape)
    return inner


def class_of(entry: Mapping[str, Any]) -> str:
    """Return the class of a layer, with its package where that is not Keras."""
    kind, module = str(entry.get("class_name")), str(entry.get("module") or "keras")
    return kind if module.partition(".")[0] in _OWN else f"{module}.{kind}"


def _options(model: Mapping[str, Any]) -> dict[str, Any]:
    options = model.get("config")
    # a Sequential's was the list of its layers before Keras 2.2.3
    options = {"layers": options} if isinstance(options, list) else options
    if not isinstance(options, dict) or not isinstance(options.get("layers"), list):
        raise CompressError(
            f"the {class_of(model)} model has no list of layers: save the model again"
        )
    return options


def _layers(options: Mapping[str, Any], weights: Weights) -> Iterator[Part]:
    """Yield the layers of a model in the order of its configuration."""
    counts: Counter[str] = Counter()
    for entry in options["layers"]:
        kind, own = class_of(entry), entry.get("config")
        if kind in _MODELS:
            own = {"name": own.get("name") if isinstance(own, dict) else "", "model": entry}
        name = str(entry.get("name") or own.get("name"))
        held = weights.member(kind, counts[kind], name)
        counts[kind] += 1
        calls = entry.get("inbound_nodes") or []
        if kind in SLICES:
            own = {**own, "index": _index(calls)}
        problem = f"it is called {len(calls)} times: use a layer once" if len(calls) > 1 else ""
        if not problem and kind not in SLICES and (given := _arguments(calls)):
            problem = f"it is called with {', '.join(given)}: call it on its input alone"
        yield Part(name, kind, own, held, tuple(_tensors(calls)), problem=problem)


def _paths(options: Mapping[str, Any], parts: list[Part]) -> tuple[list[Part], tuple[str, ...]]:
    """Return the layers of a functional model, and its outputs."""
    inputs, outputs = (list(_tensors(options.get(k))) for k in ("input_layers", "output_layers"))
    if len(inputs) != 1:
        names = ", ".join(short(name) for name, _ in inputs)
        raise CompressError(
            f"it has {len(inputs)} inputs ({names}): save keras.Model(input, output) with one of "
            "all channels; static features are channels of each sample, too"
        )
    if not outputs:
        raise CompressError("it has no output: save keras.Model(input, output)")
    read = [*outputs, *(source for part in parts for source in part.sources)]
    placed, waiting = {inputs[0][0]: INPUT}, [p for p in parts if p.kind != "InputLayer"]
    result = list[Part]()
    while waiting:
        ready = [p for p in waiting if all(name in placed for name, _ in p.sources)]
        if not ready:
            part = next((p for p in waiting if p.problem), waiting[0])
            raise CompressError(
                f"{part}: {part.problem or 'it reads what no layer before it gives'}"
            )
        for part in ready:
            problem = part.problem
            if len(part.sources) != 1 and part.kind not in JOINS:
                names = " and ".join(short(name) for name, _ in part.sources)
                problem = problem or (
                    f"it joins {names or 'nothing'}: use Add, Multiply or Concatenate, or a "
                    "recurrent layer in place of attention"
                )
            output = max((number for name, number in read if name == part.name), default=0)
            reads = tuple(placed[name] for name, _ in part.sources)
            result.append(
                replace(part, output=output, problem=problem, reads=reads, gives=part.name)
            )
            placed[part.name] = part.name
        waiting = [p for p in waiting if p.name not in placed]
    return result, tuple(placed.get(name, name) for name, _ in outputs)


def _expanded(part: Part) -> list[Part]:
    """Return the layers that a layer stands for."""
    if part.problem:
        return [part]
    if part.kind in _MODELS:
        return _nested(part, *parts_of(part.options["model"], part.weights))
    if part.kind == "TimeDistributed":
        inner = part.options["layer"]
        held = part.weights.part("layer")
        if class_of(inner) in _MODELS:
            parts, outputs = parts_of(inner, held)
            return _nested(part, [replace(p, each_step=True) for p in parts], outputs)
        kind, options = class_of(inner), inner["config"]
        return [replace(part, kind=kind, options=options, weights=held, each_step=True)]
    if part.kind == "RNN":
        return _in_a_row(list(_cells(part)), part.reads, part.gives)
    if part.kind in RECURRENT:  # as if it were an RNN of its cell
        return [replace(part, weights=part.weights.part("cell"))]
    return [part]


def _nested(part: Part, parts: list[Part], outputs: tuple[str, ...]) -> list[Part]:
    """Return the layers of a model inside of another one, with keys of their own."""
    if len(outputs) != 1 or outputs[0] == INPUT or len(part.reads) != 1:
        return [replace(part, problem="a model inside of another one needs one input and output")]

    def key(inner: str) -> str:
        if inner == INPUT:
            return part.reads[0]
        return part.gives if inner == outputs[0] else f"{part.gives}/{inner}"

    return [replace(p, reads=tuple(map(key, p.reads)), gives=key(p.gives)) for p in parts]


def _cells(part: Part) -> Iterator[Part]:
    """Yield the layers that the cells of an ``RNN`` make."""
    cell, held = part.options["cell"], part.weights.part("cell")
    cells, stacked = [cell], class_of(cell) == "StackedRNNCells"
    if stacked:
        cells = cell["config"]["cells"]
        if part.output:
            yield replace(part, problem="its states are read: use its output")
            return
    counts: Counter[str] = Counter()
    for k, one in enumerate(cells):
        kind, own = class_of(one), one["config"]
        inner = held.member(kind, counts[kind], str(own.get("name"))) if stacked else held
        counts[kind] += 1
        options = {**part.options, **own}
        if k + 1 < len(cells):
            options["return_sequences"] = True
        name = f"{part.name}_{k}" if stacked else part.name
        layer = kind.removesuffix("Cell") if kind.endswith("Cell") else f"RNN of {kind}"
        yield replace(part, name=name, kind=layer, options=options, weights=inner)


def _tensors(value: Any) -> Iterator[tuple[str, int]]:
    """Yield the outputs of layers that arguments name, by layer and number."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            name, _, number = value["config"]["keras_history"]
            yield str(name), int(number)
        else:
            for inner in value.values():
                yield from _tensors(inner)
    elif isinstance(value, list):
        if _is_reference(value):
            yield value[0], value[2]
            value = value[3:]  # the options of a call of Keras 2
        for inner in value:
            yield from _tensors(inner)


def _is_reference(value: list[Any]) -> bool:
    """Tell whether it is [layer, call, output], with the options of the call in Keras 2."""
    kinds = (str, int, int, dict)
    return len(value) in (3, 4) and all(map(isinstance, value, kinds))


def _arguments(calls: Any) -> list[str]:
    """Return names of arguments of calls that are neither tensors nor defaults."""
    if isinstance(calls, dict):
        if "args" in calls and "kwargs" in calls:
            given = [f"argument {k + 1}" for k, v in enumerate(calls["args"]) if _is_value(v)]
            return [*given, *(key for key, v in calls["kwargs"].items() if _is_value(v))]
        return []
    if not isinstance(calls, list):
        return []
    if _is_reference(calls):
        return [key for options in calls[3:] for key, v in options.items() if _is_value(v)]
    return [name for inner in calls for name in _arguments(inner)]


def _is_value(value: Any) -> bool:
    return value not in _DEFAULTS and not any(True for _ in _tensors(value))


def _index(calls: Any) -> list[Any]:
    """Return the index of a slice, with None for all of an axis."""
    if isinstance(calls, list) and any(map(_is_slice, calls)):
        return [None if _is_slice(one) and _is_whole(one) else one for one in calls]
    inside = calls.values() if isinstance(calls, dict) else calls
    found = (_index(one) for one in inside if isinstance(one, (dict, list)))
    return next((index for index in found if index), [])


def _is_slice(value: Any) -> bool:
    value = value.get("config", value) if isinstance(value, dict) else None
    return isinstance(value, dict) and {"start", "stop", "step"} <= set(value)


def _is_whole(value: Any) -> bool:
    value = value.get("config", value)
    return all(value[key] is None for key in ("start", "stop", "step"))

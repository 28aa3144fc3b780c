"""Models of Keras, and files of them as Keras 2 wrote them."""

import io
import json
import os
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras", reason="keras is not installed")
h5py = pytest.importorskip("h5py", reason="h5py is not installed")
L = keras.layers

CHANNELS, TIME, CLASSES = 3, 24, 4


def samples(n: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, TIME, CHANNELS)).astype(np.float32)


def chain(*layers: Any) -> Any:
    return keras.Sequential([keras.Input((TIME, CHANNELS)), *layers])


def scores(activation: str | None = "softmax") -> Any:
    return L.Dense(CLASSES, activation=activation)


def normalized() -> Any:
    norm = L.Normalization()
    norm.adapt(2 + 3 * samples(8, 5))
    return chain(norm, L.Rescaling(0.5, offset=0.1), L.GRU(7), scores())


def functional() -> Any:
    x = keras.Input((TIME, CHANNELS), name="samples")
    y = L.TimeDistributed(L.Dense(5, activation="relu"))(x)
    y = L.GRU(6, return_sequences=True)(y, training=False)
    return keras.Model(x, L.Activation("softmax")(scores(None)(y[:, -1])))


def nested() -> Any:
    """A Sequential and a functional model inside, both with layers of the same classes."""
    inside = keras.Input((TIME, 5))
    functional = keras.Model(inside, L.GRU(6, return_sequences=True)(L.Dense(5)(inside)))
    front = chain(L.GRU(5, return_sequences=True), L.Dense(5, activation="relu"))
    x = keras.Input((TIME, CHANNELS))
    return keras.Model(x, scores()(L.GRU(4)(functional(front(x)))))


def noisy() -> Any:
    x = keras.Input((TIME, CHANNELS))
    y = L.SpatialDropout1D(0.2)(L.GaussianNoise(0.1)(x))
    y, state = L.GRU(7, return_state=True, dropout=0.1)(y)
    y = L.ActivityRegularization(0.1)(L.Flatten()(state))
    return keras.Model(x, scores(None)(L.AlphaDropout(0.1)(y)))


def residual() -> Any:
    """Two layers with a shortcut, and two heads."""
    x = keras.Input((TIME, CHANNELS))
    y = L.GRU(6, return_sequences=True)(x)
    y = L.Add()([y, L.GRU(6, return_sequences=True)(y)])[:, -1]
    return keras.Model(x, [L.Dense(CLASSES, name="kind")(y), L.Dense(1, name="speed")(y)])


def joined() -> Any:
    """All layers that join, a model inside, and a normalisation that two layers read."""
    x = keras.Input((TIME, CHANNELS))
    inside = chain(L.Dense(5, activation="relu"), L.GRU(5, return_sequences=True))
    y = L.BatchNormalization()(L.Dense(5)(x))
    y = L.Multiply()([L.Average()([y, inside(x)]), L.Subtract()([L.Dense(5)(x), y])])
    y = L.Concatenate()([y, x, L.GRU(4, return_sequences=True)(x)])
    return keras.Model(x, scores()(L.GRU(4)(y)))


#: All layers that are read, in the forms in which they are used.
MODELS: dict[str, Callable[[], Any]] = {
    "gru": lambda: chain(L.GRU(8), scores()),
    "gru-stack": lambda: chain(
        L.GRU(8, return_sequences=True), L.Dropout(0.2), L.GRU(6), scores(None)
    ),
    "gru-reset-before": lambda: chain(L.GRU(8, reset_after=False), scores()),
    "gru-without-bias": lambda: chain(L.GRU(8, use_bias=False), L.Dense(CLASSES, use_bias=False)),
    "lstm": lambda: chain(L.LSTM(7), L.Dropout(0.5), scores()),
    "lstm-each-step": lambda: chain(
        L.LSTM(6, return_sequences=True, unit_forget_bias=False),
        L.LSTM(5, return_sequences=True),
        L.TimeDistributed(scores()),
    ),
    "rnn": lambda: chain(L.SimpleRNN(9), scores()),
    "rnn-relu": lambda: chain(L.SimpleRNN(9, activation="relu", unroll=True), scores()),
    "cells": lambda: chain(
        L.RNN(L.GRUCell(6), return_sequences=True), L.RNN(L.LSTMCell(5)), scores()
    ),
    "stacked-cells": lambda: chain(
        L.RNN([L.GRUCell(6), L.SimpleRNNCell(5), L.GRUCell(4, reset_after=False)]), scores()
    ),
    "conv": lambda: chain(
        L.Conv1D(6, 3, padding="causal", activation="relu"),
        L.Conv1D(5, 3, padding="causal", dilation_rate=2, use_bias=False),
        L.ReLU(),
        L.GRU(6),
        scores(),
    ),
    "conv-mean": lambda: chain(
        L.Conv1D(8, 5, padding="causal"),
        L.BatchNormalization(),
        L.Activation("relu"),
        L.GlobalAveragePooling1D(),
        scores(),
    ),
    "strides": lambda: chain(
        L.Conv1D(6, 3, strides=2, padding="causal"),
        L.BatchNormalization(),
        L.ReLU(),
        L.MaxPooling1D(2),
        L.Conv1D(8, 3, groups=2, activation="relu"),
        L.GRU(6),
        scores(),
    ),
    "pooling-mean": lambda: chain(
        L.Conv1D(6, 3, activation="relu"),
        L.AveragePooling1D(3, 2),
        L.GRU(6, return_sequences=True),
        L.GlobalAveragePooling1D(),
        scores(),
    ),
    "batch-norm": lambda: chain(
        L.BatchNormalization(),
        L.Dense(6),
        L.BatchNormalization(scale=False),
        L.ReLU(),
        L.GRU(7),
        L.BatchNormalization(center=False, epsilon=0.01),
        scores(),
    ),
    "layer-norm": lambda: chain(
        L.Dense(6),
        L.LayerNormalization(epsilon=0.01),
        L.LSTM(6, return_sequences=True),
        L.LayerNormalization(scale=False),
        L.SimpleRNN(5),
        scores(),
    ),
    "normalization": normalized,
    "functional": functional,
    "nested": nested,
    "mean": lambda: chain(L.GRU(7, return_sequences=True), L.GlobalAveragePooling1D(), scores()),
    "two-classes": lambda: chain(L.LSTM(6), L.Dense(1, activation="sigmoid")),
    "noise": noisy,
    "head": lambda: chain(L.GRU(8), L.Dense(6, activation="relu"), L.Dropout(0.3), scores()),
}


#: Models whose layers are no chain.
GRAPHS: dict[str, Callable[[], Any]] = {"residual": residual, "joined": joined}


def build(name: str) -> Any:
    """Return a model with random weights, biases and statistics, the same each time."""
    keras.utils.set_random_seed(0)
    return shaken((MODELS | GRAPHS)[name]())


def shaken(model: Any) -> Any:
    """Return a model with random weights, biases and statistics, as if it had been trained."""
    rng = np.random.default_rng(1)
    for weight in model.weights:
        value = array(weight)
        if weight.path.startswith("normalization"):
            continue
        if "variance" in weight.path:
            weight.assign(rng.uniform(0.5, 2, value.shape))
        else:
            weight.assign(value + 0.2 * rng.standard_normal(value.shape))
    return model


def array(weight: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(weight))


def predict(model: Any, x: np.ndarray) -> np.ndarray:
    """Return a model's outputs, several of them side by side."""
    y = model.predict(x, verbose=0)
    return np.concatenate(y, axis=-1) if isinstance(y, list) else np.asarray(y)


def keras2_config(entry: Any) -> Any:
    """Return a configuration of Keras 3 as Keras 2 wrote it into .h5 files."""
    if isinstance(entry, list):
        return [keras2_config(one) for one in entry]
    if not isinstance(entry, dict):
        return entry
    if entry.get("class_name") == "DTypePolicy":
        return entry["config"]["name"]
    new = {
        key: keras2_config(value)
        for key, value in entry.items()
        if key not in ("module", "registered_name", "build_config", "compile_config")
    }
    if "batch_shape" in new:
        new["batch_input_shape"] = new.pop("batch_shape")
    if new.get("class_name") in ("GRU", "LSTM", "SimpleRNN", "RNN"):
        new["config"]["time_major"] = False
    for key in ("input_layers", "output_layers"):
        if isinstance(new.get(key), list):
            new[key] = [new[key]]
    if entry.get("inbound_nodes"):
        new["inbound_nodes"] = [[_keras2_call(node["args"])] for node in entry["inbound_nodes"]]
        if new["class_name"] == "GetItem":
            new["class_name"] = "SlicingOpLambda"
            new["config"]["function"] = "__operators__.getitem"
    return new


def _keras2_call(arguments: list[Any]) -> list[Any]:
    """Return [layer, call, output, options]."""
    tensor, *index = arguments
    options: dict[str, Any] = {"training": False}
    if index:
        spec = [one["config"] if isinstance(one, dict) else one for one in index[0]]
        options = {"slice_spec": spec}
    return [*tensor["config"]["keras_history"], options]


def save_keras2_h5(model: Any, path: Path) -> None:
    """Write an .h5 file as Keras 2.4 to 2.15 did."""
    with h5py.File(path, "w") as file:
        config = {"class_name": type(model).__name__, "config": model.get_config()}
        file.attrs["model_config"] = json.dumps(keras2_config(config)).encode()
        file.attrs["keras_version"], file.attrs["backend"] = b"2.11.0", b"tensorflow"
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = weights.create_group(layer.name)
            own = layer.trainable_weights + layer.non_trainable_weights
            names = []
            for weight in own:
                # a model inside, and the layer in TimeDistributed, were in no name
                scopes = weight.path.split("/")[:-1]
                scopes = [s for s in scopes if not s.startswith(("sequential", "functional"))]
                if isinstance(layer, L.TimeDistributed):
                    scopes = [layer.name]
                name = "/".join([*scopes, f"{weight.name}:0"])
                group.create_dataset(name, data=array(weight))
                names.append(name.encode())
            group.attrs["weight_names"] = names


def save_keras2_archive(model: Any, path: Path) -> None:
    """Write a .keras file as Keras 2.12 and 2.13 did: layers with weights are counted twice."""
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    old = h5py.File(io.BytesIO(members["model.weights.h5"]))
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as new:
        _rename(old, new)
    members["model.weights.h5"] = buffer.getvalue()
    members["config.json"] = members["config.json"].replace(
        b'"batch_shape"', b'"batch_input_shape"'
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _rename(old: Any, new: Any) -> None:
    for key, value in old.items():
        if isinstance(value, h5py.Dataset):
            new.create_dataset(key, data=value[()])
        elif key != "layers":
            _rename(value, new.create_group(key))
        else:
            group, counts = new.create_group("_layer_checkpoint_dependencies"), Counter[str]()
            for name in sorted(value, key=lambda name: (len(name), name)):
                stem = name.rstrip("0123456789").rstrip("_") if "_" in name else name
                stem = stem if stem in value else name
                number = counts[stem]
                counts[stem] += 1 + _has_arrays(value[name])
                _rename(value[name], group.create_group(f"{stem}_{number}" if number else stem))


def _has_arrays(group: Any) -> bool:
    found: list[Any] = []
    group.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    return bool(found)

"""The same models in Keras, by the name of the form; it is imported by what calls `build`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.model_forms.form import CHANNELS, CLASSES, HIDDEN, STEPS


@dataclass(frozen=True)
class Twin:
    """A form in Keras.

    Parameters
    ----------
    build : callable
        From the module ``keras`` to a model.
    refused : str
        A pattern of the refusal; "": it is taken.
    """

    build: Callable[[Any], Any]
    refused: str = ""


def row(layers: Callable[[Any], list[Any]], refused: str = "") -> Twin:
    """Return a Sequential model of the layers that ``keras.layers`` makes."""
    return Twin(lambda k: k.Sequential([k.Input((STEPS, CHANNELS)), *layers(k.layers)]), refused)


def graph(compute: Callable[[Any, Any], Any], refused: str = "") -> Twin:
    """Return a functional model of ``compute(keras.layers, x)``."""

    def build(k: Any) -> Any:
        x = k.Input((STEPS, CHANNELS))
        return k.Model(x, compute(k.layers, x))

    return Twin(build, refused)


def every(L: Any, kind: str = "GRU", size: int = HIDDEN, **options: Any) -> Any:
    """Return a recurrent layer with an output at each step."""
    return getattr(L, kind)(size, return_sequences=True, **options)


def scores(L: Any, activation: str | None = None) -> Any:
    return L.Dense(CLASSES, activation=activation)


def causal(L: Any, size: int = 6, taps: int = 3, **options: Any) -> Any:
    return L.Conv1D(size, taps, padding="causal", **options)


def residual(L: Any, x: Any) -> Any:
    y = every(L)(x)
    return scores(L)(L.Add()([y, every(L)(y)]))


def residual_heads(L: Any, x: Any) -> Any:
    y = every(L)(L.Dense(HIDDEN)(x))
    y = L.Add()([y, every(L)(y)])[:, -1]
    return [scores(L)(y), L.Dense(2)(y)]


def skip(L: Any, x: Any) -> Any:
    y = L.Dense(HIDDEN)(x)
    return scores(L)(L.LayerNormalization()(L.Add()([every(L)(y), y])))


def tcn(L: Any, x: Any) -> Any:
    y = causal(L, taps=1, activation="relu")(x)
    for dilation in (2, 4):
        y = L.Add()([y, causal(L, dilation_rate=dilation, activation="relu")(y)])
    return scores(L)(y[:, -1])


def gated(L: Any, x: Any) -> Any:
    side = L.Dense(HIDDEN, activation="sigmoid")(x)
    return scores(L)(L.Multiply()([every(L)(x), side]))


def wavenet(L: Any, x: Any) -> Any:
    y = causal(L, taps=1)(x)
    gate = causal(L, dilation_rate=4, activation="sigmoid")(y)
    return scores(L)(
        L.Add()([y, L.Multiply()([causal(L, dilation_rate=2, activation="tanh")(y), gate])])
    )


def attended(L: Any, x: Any) -> Any:
    y = every(L)(x)
    return scores(L)(L.MultiHeadAttention(1, HIDDEN)(y, y)[:, -1])


def attention_pooled(L: Any, x: Any) -> Any:
    y = every(L)(x)
    w = L.Softmax(axis=1)(L.Dense(1)(L.Dense(4, activation="tanh")(y)))
    return scores(L)(L.Flatten()(L.Dot(axes=1)([w, y])))


def cell_state(L: Any, x: Any) -> Any:
    return scores(L)(L.LSTM(HIDDEN, return_state=True)(x)[2])


def last_state(L: Any, x: Any) -> Any:
    return scores(L)(L.GRU(HIDDEN, return_state=True)(x)[1])


def two_inputs(k: Any) -> Any:
    x, z = k.Input((STEPS, CHANNELS)), k.Input((2,))
    y = k.layers.Concatenate()([k.layers.GRU(HIDDEN)(x), z])
    return k.Model([x, z], scores(k.layers)(y))


def between(activation: str, refused: str = "") -> Twin:
    """Return a function between layers."""
    return row(lambda L: [every(L), L.Dense(HIDDEN, activation=activation), scores(L)], refused)


TWINS: dict[str, Twin] = {
    "gru, every step": row(lambda L: [every(L), scores(L)]),
    "gru, last step": row(lambda L: [L.GRU(HIDDEN), scores(L)]),
    "lstm": row(lambda L: [L.LSTM(HIDDEN), scores(L)]),
    "rnn tanh": row(lambda L: [L.SimpleRNN(HIDDEN), scores(L)]),
    "rnn relu": row(lambda L: [every(L, "SimpleRNN", activation="relu"), scores(L)]),
    "stacked, with dropout": row(
        lambda L: [every(L, dropout=0.2), L.Dropout(0.4), L.GRU(HIDDEN), scores(L)]
    ),
    "no bias": row(lambda L: [L.GRU(HIDDEN, use_bias=False), L.Dense(CLASSES, use_bias=False)]),
    "h_n[-1]": graph(last_state),
    "without a head": row(lambda L: [every(L)]),
    "gru after gru of another size": row(lambda L: [every(L), L.GRU(7), scores(L)]),
    "gru after lstm": row(lambda L: [every(L, "LSTM"), every(L), scores(L)]),
    ".relu()": row(lambda L: [L.GRU(HIDDEN), L.ReLU(), scores(L)]),
    "linear, relu, linear head": row(
        lambda L: [L.GRU(HIDDEN), L.Dense(6, activation="relu"), L.Dropout(0.3), scores(L)]
    ),
    "linear front": row(lambda L: [L.Dense(6), L.GRU(HIDDEN), scores(L)]),
    "linear and relu front": row(lambda L: [L.Dense(6, activation="relu"), every(L), scores(L)]),
    "layer norm between": row(lambda L: [L.GRU(HIDDEN), L.LayerNormalization(), scores(L)]),
    "layer norm at every step": row(lambda L: [every(L), L.LayerNormalization(), scores(L)]),
    "batch norm after linear": row(
        lambda L: [L.GRU(HIDDEN), L.Dense(6), L.BatchNormalization(), L.ReLU(), scores(L)]
    ),
    "batch norm before linear": row(lambda L: [L.GRU(HIDDEN), L.BatchNormalization(), scores(L)]),
    "batch norm of the input": row(lambda L: [L.BatchNormalization(), L.GRU(HIDDEN), scores(L)]),
    "scalar constants": row(lambda L: [L.Rescaling(0.6, -0.2), L.GRU(HIDDEN), scores(L)]),
    "conv front, padded on the left": row(lambda L: [causal(L), L.GRU(HIDDEN), scores(L)]),
    "conv of one tap": row(lambda L: [L.Conv1D(6, 1), every(L), scores(L)]),
    "maximum over time": row(lambda L: [every(L), L.GlobalMaxPooling1D(), scores(L)]),
    "mean of states over time": row(lambda L: [every(L), L.GlobalAveragePooling1D(), scores(L)]),
    "softmax": row(lambda L: [L.GRU(HIDDEN), scores(L, "softmax")]),
    "sigmoid of many outputs": row(lambda L: [L.GRU(HIDDEN), scores(L, "sigmoid")]),
    "residual": graph(residual),
    "residual gru of two layers, two heads": graph(residual_heads),
    "gru, residual, layer norm": graph(skip),
    "gru and lstm side by side": graph(
        lambda L, x: scores(L)(L.Concatenate()([every(L)(x), every(L, "LSTM")(x)]))
    ),
    "states and samples joined": graph(
        lambda L, x: scores(L)(L.Concatenate()([L.GRU(HIDDEN)(x), x[:, -1]]))
    ),
    "temporal convolutions, dilated, residual": graph(tcn),
    "gated convolutions, residual": graph(wavenet),
    "gate of a linear layer": graph(gated),
    "batch norm, relu between recurrent layers": row(
        lambda L: [every(L), L.Dense(6), L.BatchNormalization(), L.ReLU(), L.GRU(HIDDEN), scores(L)]
    ),
    "tanh between layers": between("tanh"),
    "sigmoid between layers": between("sigmoid"),
    "leaky_relu between layers": row(lambda L: [every(L), L.LeakyReLU(), scores(L)]),
    "PReLU of channels at the last step": row(lambda L: [L.GRU(HIDDEN), L.PReLU(), scores(L)]),
    "PReLU of channels behind a convolution": row(
        lambda L: [L.Conv1D(HIDDEN, 3), L.PReLU(shared_axes=[1]), L.GRU(HIDDEN), scores(L)]
    ),
    "celu between layers": between("celu"),
    "elu between layers": row(lambda L: [every(L), L.ELU(0.7), scores(L)]),
    "selu between layers": between("selu"),
    "gelu between layers": between("gelu"),
    "silu between layers": between("silu"),
    "mish between layers": between("mish"),
    "softplus between layers": between("softplus"),
    "hardswish between layers": between("hard_swish"),
    "hardsigmoid between layers": between("hard_sigmoid", "hard_sigmoid"),
    "relu6 between layers": between("relu6"),
    "softmax between": between("softmax", "softmax"),
    "attention pooling": graph(attention_pooled),
    # refused
    "bidirectional": row(lambda L: [L.Bidirectional(every(L)), scores(L)], "future"),
    "features beside the samples": Twin(two_inputs, "inputs"),
    "nn.MultiheadAttention": graph(attended, "attention|recurrent"),
    "cell state read": graph(cell_state, "cell state"),
    "flattened window": row(lambda L: [every(L), L.Flatten(), scores(L)], "window"),
    "another step than the last": graph(lambda L, x: scores(L)(every(L)(x)[:, 7]), "last step"),
    "reversed time": row(lambda L: [L.GRU(HIDDEN, go_backwards=True), scores(L)], "go_backwards"),
    "embedding": row(lambda L: [L.Embedding(9, 4), L.Reshape((STEPS, -1)), L.GRU(5)], "one-hot"),
    "conv that reads the future": row(
        lambda L: [L.Conv1D(6, 3, padding="same"), every(L), scores(L)], "future"
    ),
    "strided conv": row(lambda L: [L.Conv1D(6, 4, strides=2), L.GRU(HIDDEN), scores(L)]),
    "strided conv in groups, mean pool": row(
        lambda L: [
            L.Conv1D(6, 3, strides=2, groups=3, activation="relu"),
            L.AveragePooling1D(3, 1),
            L.GRU(HIDDEN),
            scores(L),
        ]
    ),
    "pool with padding": row(
        lambda L: [L.Conv1D(5, 3), L.MaxPooling1D(2, padding="same"), L.GRU(HIDDEN), scores(L)],
        "padding='same'",
    ),
    "conv, batch norm, relu, pool, gru": row(
        lambda L: [
            causal(L),
            L.BatchNormalization(),
            L.ReLU(),
            L.MaxPooling1D(2),
            L.GRU(5),
            scores(L),
        ]
    ),
}

"""Import of ONNX files that torch.onnx and others write."""

import functools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edgeflow.compression.quantize import quantize
from edgeflow.errors import CompressError
from edgeflow.importers import FloatChain, load_float_model

CHANNELS, HIDDEN, CLASSES = 3, 7, 4
ReluRNN = functools.partial(nn.RNN, nonlinearity="relu")


def walk(n: int = 12, time: int = 30) -> np.ndarray:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((n, time, CHANNELS)).cumsum(axis=1) * [1, 5, 0.1] + [0, 20, -3]
    return x.astype(np.float32)


class Net(nn.Module):
    """A model as users write them: `read` says what the head reads."""

    def __init__(self, kind: Any = nn.GRU, layers: int = 1, read: str = "all",
                 batch_first: bool = True, bias: bool = True) -> None:  # fmt: skip
        super().__init__()
        torch.manual_seed(5)
        self.kind, self.read, self.batch_first = kind, read, batch_first
        self.rnn = kind(CHANNELS, HIDDEN, layers, batch_first=batch_first, bias=bias,
                        dropout=0.3 if layers > 1 else 0.0)  # fmt: skip
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(HIDDEN, CLASSES, bias=bias)
        self.register_buffer("mean", torch.tensor([0.0, 20.0, -3.0]))
        self.register_buffer("std", torch.tensor([2.0, 9.0, 0.5]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h, state = self.rnn((x - self.mean) / self.std)
        if self.read == "last":
            h = h[:, -1] if self.batch_first else h[-1]
        elif self.read == "state":
            h = (state[0] if self.kind is nn.LSTM else state)[-1]
        return self.head(self.drop(h))


def export(net: nn.Module, path: Path, *, dynamo: bool = False, free: bool = True) -> Path:
    x = torch.from_numpy(walk(2, 20))
    first = getattr(net, "batch_first", True)
    x = x if first else x.transpose(0, 1)
    axes = {0: "n", 1: "time"} if first else {0: "time", 1: "n"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters' own
        if dynamo:
            torch.onnx.export(net.eval(), (x,), path, dynamo=True, verbose=False)
        else:
            torch.onnx.export(net.eval(), (x,), path, dynamo=False, input_names=["x"],
                              dynamic_axes={"x": axes} if free else None)  # fmt: skip
    return path


def assert_same(chain: FloatChain, net: Any, x: np.ndarray) -> None:
    with torch.no_grad():
        t = torch.from_numpy(x)
        expected = net(t if net.batch_first else t.transpose(0, 1)).numpy()
    got = chain.run(x)
    if net.read != "all":
        got = got[:, -1]
    elif not net.batch_first:
        expected = expected.swapaxes(0, 1)
    assert expected.std() > 0.05
    np.testing.assert_allclose(got, expected, atol=1e-4)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN, ReluRNN])
@pytest.mark.parametrize(
    "layers,read,batch_first",
    [
        (1, "all", True),
        (1, "last", True),
        (2, "all", False),
        (2, "state", True),
        (1, "state", False),
    ],
)
def test_torch_export(kind: Any, layers: int, read: str, batch_first: bool, tmp_path: Path) -> None:
    net = Net(kind, layers, read, batch_first)
    chain = load_float_model(export(net, tmp_path / "m.onnx"), walk())
    assert [name for name, _ in chain.layers] == [*["rnn", "rnn_1"][:layers], "head"]
    np.testing.assert_allclose(chain.std, [2, 9, 0.5], rtol=1e-6)
    assert_same(chain, net, walk(5, 41))


@pytest.mark.parametrize("options", [{"bias": False}, {"read": "last", "batch_first": False}])
def test_fixed_sizes(options: dict[str, Any], tmp_path: Path) -> None:
    """Exported for 2 sequences of 20 samples; the data has windows of 30."""
    net = Net(**options)
    chain = load_float_model(export(net, tmp_path / "m.onnx", free=False), walk())
    assert_same(chain, net, walk(5, 41))


@pytest.mark.parametrize(
    "kind,layers,read,batch_first",
    [
        (nn.GRU, 2, "state", True),
        (nn.GRU, 1, "last", False),
        (nn.LSTM, 2, "all", True),
    ],
)
def test_torch_dynamo_export(
    kind: Any, layers: int, read: str, batch_first: bool, tmp_path: Path
) -> None:
    pytest.importorskip("onnxscript")
    net = Net(kind, layers, read, batch_first)
    chain = load_float_model(export(net, tmp_path / "m.onnx", dynamo=True), walk())
    assert len(chain.layers) == layers + 1
    assert_same(chain, net, walk(5, 41))


def test_it_compresses(tmp_path: Path) -> None:
    net, x = Net(), walk()
    chain = load_float_model(export(net, tmp_path / "m.onnx"), x, classes=tuple("abcd"), window=30)
    program = quantize(chain, x)
    real = chain.run(x)
    assert np.abs(program.run(program.quantize_input(x)) * program.output_scale - real).max() < 0.03
    assert program.classes == tuple("abcd") and program.window == 30
    program.save(tmp_path / "program.onnx")
    with pytest.raises(CompressError, match="compressed already.*edgeflow compile"):
        load_float_model(tmp_path / "program.onnx", x)


def build(nodes: list[onnx.NodeProto], path: Path, rank: int = 3, **tensors: Any) -> Path:
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "time", CHANNELS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, list("abc")[:rank])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in tensors.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def parameters(gates: int, directions: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    rows = gates * HIDDEN
    shapes = {
        "w": (directions, rows, CHANNELS), "r": (directions, rows, HIDDEN),
        "b": (directions, 2 * rows), "v": (HIDDEN, CLASSES), "c": (CLASSES,),
    }  # fmt: skip
    made = {k: (0.4 * rng.standard_normal(s)).astype(np.float32) for k, s in shapes.items()}
    return made | {"one": np.array([1], dtype=np.int64)}


node = helper.make_node


def keras_like(op: str, **options: Any) -> list[onnx.NodeProto]:
    """The graph of a Keras model with return_sequences: time first inside, softmax at the end."""
    return [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node(op, ["t", "w", "r", "b"], ["h"], name="rnn", hidden_size=HIDDEN, **options),
        node("Squeeze", ["h", "one"], ["s"]),
        node("Transpose", ["s"], ["u"], perm=[1, 0, 2]),
        node("MatMul", ["u", "v"], ["m"], name="dense/MatMul"),
        node("Add", ["m", "c"], ["a"], name="dense/Add"),
        node("Softmax", ["a"], ["y"], axis=-1),
    ]


RECURRENT = [
    ("GRU", 3, {"linear_before_reset": 1}),
    ("GRU", 3, {}),
    ("LSTM", 4, {}),
    ("RNN", 1, {}),
    ("RNN", 1, {"activations": ["Relu"]}),
]


@pytest.mark.parametrize("op,gates,options", RECURRENT)
def test_hand_made_graph(op: str, gates: int, options: dict[str, Any], tmp_path: Path) -> None:
    path = build(keras_like(op, **options), tmp_path / "k.onnx", **parameters(gates))
    chain, x = load_float_model(path, walk() / 10), walk(4, 17) / 10
    assert [name for name, _ in chain.layers] == ["rnn", "dense"]
    expected = onnxruntime.InferenceSession(path).run(["y"], {"x": x})[0]
    logits = torch.from_numpy(chain.run(x))
    np.testing.assert_allclose(torch.softmax(logits, -1).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("op,gates,options", RECURRENT)
@pytest.mark.parametrize("sequences", [True, False])
def test_as_tf2onnx_writes_keras(
    op: str, gates: int, options: dict[str, Any], sequences: bool, tmp_path: Path
) -> None:
    """First states of zeros made from the size of the input; outputs or the last state."""
    states = ["zeros", "zeros"] if op == "LSTM" else ["zeros"]
    outputs = ["h", ""] if sequences else ["", "last"]
    nodes = [
        node("Shape", ["x"], ["shape"], start=0, end=1),
        node("Concat", ["one", "shape", "units"], ["state_shape"], axis=0),
        node("ConstantOfShape", ["state_shape"], ["zeros"]),
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node(op, ["t", "w", "r", "b", "", *states], outputs, name="sequential/rnn/RNN",
             hidden_size=HIDDEN, direction="forward", **options),
        *([node("Squeeze", ["h", "one"], ["s"]), node("Transpose", ["s"], ["u"], perm=[1, 0, 2])]
          if sequences else [node("Squeeze", ["last", "none"], ["u"])]),
        node("MatMul", ["u", "v"], ["m"], name="sequential/dense/MatMul"),
        node("Add", ["m", "c"], ["a"], name="sequential/dense/Add"),
        node("Softmax", ["a"], ["y"], axis=-1),
    ]  # fmt: skip
    sizes = {"units": np.array([HIDDEN], np.int64), "none": np.array([0], np.int64)}
    path = build(nodes, tmp_path / "k.onnx", 3 if sequences else 2, **parameters(gates), **sizes)
    chain, x = load_float_model(path, walk() / 10), walk(4, 17) / 10
    expected = onnxruntime.InferenceSession(path).run(["y"], {"x": x})[0]
    logits = torch.from_numpy(chain.run(x) if sequences else chain.run(x)[:, -1])
    np.testing.assert_allclose(torch.softmax(logits, -1).numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("op,gates,options", RECURRENT)
def test_what_was_imported_compresses(
    op: str, gates: int, options: dict[str, Any], tmp_path: Path
) -> None:
    path = build(keras_like(op, **options), tmp_path / "k.onnx", **parameters(gates))
    x = walk() / 10
    chain = load_float_model(path, x)
    program, real = quantize(chain, x), chain.run(x)
    y = program.run(program.quantize_input(x)) * program.output_scale
    assert np.sqrt(np.mean((y - real) ** 2)) < 0.02 * real.std()
    assert max(program.metadata["saturation"].values()) < 0.01
    assert program.nodes[0].op_type == {0: "GRUResetBefore"}.get(
        options.get("linear_before_reset", 0) if op == "GRU" else 1, op
    )


def test_attention_is_refused(tmp_path: Path) -> None:
    nodes = [
        *keras_like("LSTM")[:4],
        node("Transpose", ["u"], ["k"], perm=[0, 2, 1]),
        node("MatMul", ["u", "k"], ["score"], name="attn/score"),
        node("Softmax", ["score"], ["weight"], name="attn/softmax", axis=-1),
        node("MatMul", ["weight", "u"], ["y"], name="attn/mix"),
    ]
    path = build(nodes, tmp_path / "m.onnx", **parameters(4))
    with pytest.raises(CompressError, match=r"attn/score \(MatMul\): attention: it weighs all"):
        load_float_model(path, walk())


def test_scaling_anywhere_is_folded(tmp_path: Path) -> None:
    """Negative scales before the first layer, and any after linear ones."""
    two = {"k": np.array([-0.5, 2, 1], np.float32), "q": np.float32(3),
           "e": np.eye(CHANNELS, dtype=np.float32)}  # fmt: skip
    nodes = [
        node("Mul", ["k", "x"], ["x1"]),
        node("Sub", ["q", "x1"], ["x2"]),
        node("Transpose", ["x2"], ["t"], perm=[1, 0, 2]),
        node("LSTM", ["t", "w", "r", "b"], ["h"], hidden_size=HIDDEN),
        node("Squeeze", ["h", "one"], ["s"]),
        node("MatMul", ["s", "v"], ["m"]),
        node("Sub", ["m", "c"], ["a"]),
        node("Div", ["a", "q"], ["z"]),
        node("Transpose", ["z"], ["y"], perm=[1, 0, 2]),
    ]
    path = build(nodes, tmp_path / "k.onnx", **parameters(4), **two)
    chain, x = load_float_model(path, walk() / 10), walk(4, 17) / 10
    expected = onnxruntime.InferenceSession(path).run(["y"], {"x": x})[0]
    np.testing.assert_allclose(chain.run(x), expected, atol=1e-5)


def test_every_unsupported_node_is_named(tmp_path: Path) -> None:
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("GRU", ["t", "w", "r", "b"], ["h"], name="first", hidden_size=HIDDEN,
             activations=["Sigmoid", "Relu"]),
        node("Squeeze", ["h", "one"], ["s"]),
        node("LSTM", ["s", "w2", "r2", "", "", "", "", "p"], ["h2"], name="second",
             hidden_size=HIDDEN, direction="bidirectional", clip=3.0,
             activations=["HardSigmoid", "Tanh", "Tanh"] * 2),
        node("Relu", ["h2"], ["z"], name="act"),
        node("ReduceMean", ["z"], ["a"], axes=[0], name="pool"),
        node("RNN", ["a", "w3", "r3"], ["y"], name="third", hidden_size=HIDDEN,
             direction="reverse", activations=["Softsign"]),
    ]  # fmt: skip
    more = {k: np.zeros(s, np.float32) for k, s in {
        "w2": (2, 4 * HIDDEN, HIDDEN), "r2": (2, 4 * HIDDEN, HIDDEN), "p": (2, 3 * HIDDEN),
        "w3": (1, HIDDEN, HIDDEN), "r3": (1, HIDDEN, HIDDEN)}.items()}  # fmt: skip
    path = build(nodes, tmp_path / "m.onnx", **parameters(3), **more)
    with pytest.raises(CompressError) as caught:
        load_float_model(path, walk())
    message = str(caught.value)
    for part in (
        "first (GRU): activations sigmoid, relu: use sigmoid, tanh",
        "second (LSTM): bidirectional", "activations hardsigmoid", "clip:", "peepholes",
        "third (RNN): reverse: it needs the future", "activations softsign: use tanh or relu",
    ):  # fmt: skip
        assert part in message
    assert "\n" not in message


def gather(index: str) -> onnx.NodeProto:
    return node("Gather", ["a", index], ["y"], axis=1)


@pytest.mark.parametrize(
    "position,new,rank,message",
    [
        (-1, node("Div", ["a", "m"], ["y"]), 3, r"y \(Div\): joins two paths"),
        (1, node("GRU", ["t", "w", "r", "b", "", "h0"], ["h"], name="rnn", hidden_size=HIDDEN,
                 linear_before_reset=1), 3, r"rnn \(GRU\) starts from a first state that is not"),
        (1, node("GRU", ["t", "w", "r", "b", "lengths"], ["h"], name="rnn", hidden_size=HIDDEN,
                 linear_before_reset=1), 3, "sequence_lens that differ"),
        (-1, gather("two"), 2, "does more than its layers"),
        (-1, gather("several"), 3, r"returns \[8, 2, 4\]"),
        (-1, node("Identity", ["x"], ["y"]), 3, "there is no layer"),
        (-1, node("Identity", ["u"], ["y"]), 3, "OK"),
        (5, node("Add", ["m", "per_step"], ["a"]), 3, r"\[30, 4\] .* one value a channel"),
        (-1, node("Softsign", ["a"], ["y"], name="act"), 3, r"act \(Softsign\): not supported"),
        (4, node("Softmax", ["u"], ["m"]), 3, r"m \(Softmax\): attention"),
    ],
)  # fmt: skip
def test_what_is_no_chain(
    position: int, new: onnx.NodeProto, rank: int, message: str, tmp_path: Path
) -> None:
    nodes = keras_like("GRU", linear_before_reset=1)
    nodes[position] = new
    tensors = {
        "h0": np.eye(8, HIDDEN, dtype=np.float32)[None], "lengths": np.array([20, 30] * 4, np.int32),
        "two": np.array(2), "several": np.array([3, 4]),
        "per_step": np.zeros((30, CLASSES), np.float32),
    }  # fmt: skip
    path = build(nodes, tmp_path / "m.onnx", rank, **parameters(3), **tensors)
    if message == "OK":  # a model without a head
        assert len(load_float_model(path, walk()).layers) == 1
        return
    with pytest.raises(CompressError, match=message):
        load_float_model(path, walk())


def test_two_linear_layers_may_join(tmp_path: Path) -> None:
    """Alone catches a map of channels that becomes part of a layer which others read, too."""
    nodes = keras_like("GRU", linear_before_reset=1)
    nodes[-1:] = [
        node("MatMul", ["u", "v"], ["m2"], name="other"),
        node("Sub", ["a", "m2"], ["y"], name="both"),
    ]
    path = build(nodes, tmp_path / "m.onnx", **parameters(3))
    assert load_float_model(path, walk()).sources == ((0,), (1,), (1,), (2, 3))


def test_a_flattened_window_is_no_step(tmp_path: Path) -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRU(CHANNELS, HIDDEN, batch_first=True)
            self.head = nn.Linear(20 * HIDDEN, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.rnn(x)[0].flatten(1))

    path = export(Flat(), tmp_path / "m.onnx", free=False)
    with pytest.raises(CompressError, match="head reads 140 values, a step has 7.*last step"):
        load_float_model(path, walk())


def test_states_as_inputs_start_from_zeros(tmp_path: Path) -> None:
    class Streaming(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(CHANNELS, 5, batch_first=True), nn.Linear(5, 2)

        def forward(self, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            y, h = self.rnn(x, h)
            return self.head(y), h

    net = Streaming().eval()
    for time in (20, 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(net, (torch.randn(1, time, CHANNELS), torch.zeros(1, 1, 5)),
                              tmp_path / f"{time}.onnx", dynamo=False)  # fmt: skip
    x = walk(1)
    with torch.no_grad():
        expected = net(torch.from_numpy(x), torch.zeros(1, 1, 5))[0]
    for time in (20, 1):
        chain = load_float_model(tmp_path / f"{time}.onnx", walk())
        np.testing.assert_allclose(chain.run(x), expected.numpy(), atol=1e-5)


def test_a_step_without_its_state_is_refused(tmp_path: Path) -> None:
    """Alone catches a file of one step whose state is lost from one to the next."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Net().eval(), (torch.randn(1, 1, CHANNELS),), tmp_path / "m.onnx",
                          dynamo=False)  # fmt: skip
    with pytest.raises(CompressError, match="for one time step"):
        load_float_model(tmp_path / "m.onnx", walk())


def test_wrong_files(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no protobuf at all")
    with pytest.raises(CompressError, match="not a valid ONNX file"):
        load_float_model(tmp_path / "text.onnx", walk())
    path = export(Net(), tmp_path / "m.onnx")
    with pytest.raises(CompressError, match=r"samples are \[n, time, 5\]"):
        load_float_model(path, np.zeros((2, 9, 5), np.float32))


def test_damaged_files(tmp_path: Path) -> None:
    """Whatever a changed byte does, there is a chain or one clear error."""
    rng, refused = np.random.default_rng(7), 0
    whole = export(Net(), tmp_path / "m.onnx").read_bytes()
    for _ in range(60):
        data = bytearray(whole)
        data[rng.integers(len(data))] = rng.integers(256)
        (tmp_path / "d.onnx").write_bytes(data)
        try:
            load_float_model(tmp_path / "d.onnx", walk())
        except CompressError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 10

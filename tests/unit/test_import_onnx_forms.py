"""Ways in which exporters write the same ONNX model, and files that are not whole."""

import contextlib
import io
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

from edgeflow.errors import CompressError
from edgeflow.importers import FloatChain, load_float_model
from tests.unit.test_import_onnx import (
    CHANNELS,
    CLASSES,
    HIDDEN,
    Net,
    build,
    export,
    gather,
    keras_like,
    node,
    parameters,
    walk,
)

GRU = {"hidden_size": HIDDEN, "linear_before_reset": 1}


def assert_same(path: Path, x: np.ndarray, *, softmax: bool = False) -> FloatChain:
    """Import, and compare with onnxruntime at every step, or at the last."""
    chain = load_float_model(path, walk() / 10)
    graph = onnxruntime.InferenceSession(path)
    expected = graph.run(None, {graph.get_inputs()[0].name: x})[0].reshape(len(x), -1, CLASSES)
    got = torch.from_numpy(chain.run(x)[:, -expected.shape[1] :]).double()
    got = got.softmax(-1) if softmax else got
    assert expected.std() > 1e-3
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-4 * expected.std())
    return chain


def keras(*middle: onnx.NodeProto, end: str = "d") -> list[onnx.NodeProto]:
    """A GRU over time, `middle` from its outputs u [n, time, HIDDEN] to `end`, and a head."""
    return [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("GRU", ["t", "w", "r", "b"], ["h"], name="rnn", **GRU),
        node("Squeeze", ["h", "one"], ["s"]),
        node("Transpose", ["s"], ["u"], perm=[1, 0, 2]),
        *middle,
        node("MatMul", [end, "v"], ["m"], name="dense/MatMul"),
        node("Add", ["m", "c"], ["y"], name="dense/Add"),
    ]


def vector(seed: int, size: int = HIDDEN) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.3, 2, size).astype(np.float32)


# What the operators are ------------------------------------------------------------------------

WRITTEN_OUT = [
    node("ReduceMean", ["u"], ["mean"], axes=[-1]),
    node("Sub", ["u", "mean"], ["centred"]),
    node("Pow", ["centred", "two"], ["square"]),
    node("ReduceMean", ["square"], ["var"], axes=[-1]),
    node("Add", ["var", "eps"], ["var2"]),
    node("Sqrt", ["var2"], ["std"]),
    node("Div", ["centred", "std"], ["normed"], name="norm/Div"),
]
AFFINE = [
    node("Mul", ["normed", "gain"], ["scaled"]),
    node("Add", ["shift", "scaled"], ["d"], name="norm/Add"),
]
OF_KERAS = [
    node("ReduceMean", ["u"], ["mean"], axes=[2]),
    node("Sub", ["u", "mean"], ["centred"]),
    node("Mul", ["centred", "centred"], ["square"]),
    node("ReduceMean", ["square"], ["var"], axes=[2]),
    node("Add", ["var", "eps"], ["var2"]),
    node("Sqrt", ["var2"], ["std"]),
    node("Reciprocal", ["std"], ["rstd"]),
    node("Mul", ["rstd", "gain"], ["factor"]),
    node("Mul", ["factor", "u"], ["first"]),
    node("Mul", ["mean", "factor"], ["second"]),
    node("Sub", ["shift", "second"], ["rest"]),
    node("Add", ["first", "rest"], ["d"], name="norm/add_1"),
]
NORM = {"two": np.float32(2), "eps": np.float32(1e-3), "gain": vector(1), "shift": vector(2)}


@pytest.mark.parametrize(
    "middle,end",
    [
        ([node("LayerNormalization", ["u", "gain", "shift"], ["d"], name="norm", axis=-1)], "d"),
        ([node("LayerNormalization", ["u", "gain"], ["d"], epsilon=0.1)], "d"),
        (WRITTEN_OUT, "normed"),
        ([*WRITTEN_OUT, *AFFINE], "d"),
        (OF_KERAS, "d"),
    ],
)
def test_layer_normalisation(middle: list[onnx.NodeProto], end: str, tmp_path: Path) -> None:
    path = build(keras(*middle, end=end), tmp_path / "k.onnx", **parameters(3), **NORM)
    chain = assert_same(path, walk(4, 17) / 10)
    assert [type(layer) for _, layer in chain.layers] == [nn.GRU, nn.LayerNorm, nn.Linear]


@pytest.mark.parametrize("opset", [9, 11, 13, 16, 17])
def test_operator_sets(opset: int, tmp_path: Path) -> None:
    net = Net(read="last").eval()
    norm = nn.LayerNorm(HIDDEN)
    nn.init.normal_(norm.weight)
    net.drop = nn.Sequential(norm, nn.ReLU())  # type: ignore[assignment]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (torch.from_numpy(walk(2, 20)),), tmp_path / "m.onnx", dynamo=False,
                          opset_version=opset, input_names=["x"],
                          dynamic_axes={"x": {0: "n", 1: "time"}})  # fmt: skip
    chain = assert_same(tmp_path / "m.onnx", walk(4, 17) / 10)
    kinds = [type(layer).__name__ for _, layer in chain.layers]
    assert kinds == ["GRU", "LayerNorm", "ReLU", "Linear"]


@pytest.mark.parametrize(
    "middle",
    [
        [node("Relu", ["u"], ["d"], name="act")],
        [node("Max", ["u", "none"], ["d"], name="act")],
        [node("Clip", ["u", "none"], ["d"], name="act")],
        [node("Mul", ["u", "gain"], ["g"]), node("Add", ["g", "shift"], ["d"])],  # batch norm
        [node("Identity", ["u"], ["i"]), node("Cast", ["i"], ["d"], to=TensorProto.FLOAT)],
        # Dense layers of Keras on sequences, by rows
        [node("Reshape", ["u", "rows"], ["f"]), node("MatMul", ["f", "square"], ["p"]),
         node("Reshape", ["p", "steps"], ["d"])],
        # mean over time, kept
        [node("ReduceMean", ["u"], ["d"], axes=[1], keepdims=1)],
    ],
)  # fmt: skip
def test_operators_between(middle: list[onnx.NodeProto], tmp_path: Path) -> None:
    more = {"none": np.float32(0), "rows": np.array([-1, HIDDEN]), "steps": np.array([-1, 17, HIDDEN]),
            "square": np.float32(np.diag(vector(5)))}  # fmt: skip
    path = build(keras(*middle), tmp_path / "k.onnx", **parameters(3), **NORM, **more)
    chain, x = load_float_model(path, walk(12, 17) / 10), walk(4, 17) / 10
    expected = onnxruntime.InferenceSession(path).run(None, {"x": x})[0]
    got = chain.run(x)[:, -expected.shape[1] :]
    np.testing.assert_allclose(got, expected, atol=1e-4 * expected.std())


def convolution(*, causal: bool) -> list[onnx.NodeProto]:
    """A Conv1D of Keras as tf2onnx writes it: two axes of space, the first of size 1."""
    pad = [node("Pad", ["x", "pads"], ["p"])] if causal else [node("Identity", ["x"], ["p"])]
    return [
        *pad,
        node("Transpose", ["p"], ["q"], perm=[0, 2, 1]),
        node("Unsqueeze", ["q", "axis"], ["r0"]),
        node("Conv", ["r0", "kernel", "offset"], ["k"], name="conv1d/Conv", kernel_shape=[1, 3],
             strides=[1, 1], dilations=[1, 2]),
        node("Squeeze", ["k", "axis"], ["l"]),
        node("Relu", ["l"], ["a"], name="conv1d/Relu"),
        node("Transpose", ["a"], ["t"], perm=[2, 0, 1]),
        node("GRU", ["t", "w", "r", "b"], ["", "last"], name="rnn", **GRU),
        node("Squeeze", ["last", "none"], ["u"]),
        node("MatMul", ["u", "v"], ["m"], name="dense/MatMul"),
        node("Add", ["m", "c"], ["y"], name="dense/Add"),
    ]  # fmt: skip


def test_convolution_of_keras(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    more = {
        "pads": np.array([0, 4, 0, 0, 0, 0]), "axis": np.array([2]), "none": np.array([0]),
        "kernel": rng.normal(size=(CHANNELS, CHANNELS, 1, 3)).astype(np.float32),
        "offset": vector(6, CHANNELS),
    }  # fmt: skip
    tensors = parameters(3) | more
    path = build(convolution(causal=True), tmp_path / "k.onnx", 2, **tensors)
    chain = assert_same(path, walk(4, 17) / 10)
    assert [name for name, _ in chain.layers][:2] == ["conv1d0", "conv1d1"]
    for option, steps in (("strides", ["conv1d0", "conv1d1", "conv1d2"]), ("group", ["conv1d0"])):
        nodes = convolution(causal=True)
        value = 3 if option == "group" else [1, 2]
        nodes[3] = node("Conv", ["r0", "kernel", "offset"], ["k"], name="conv1d/Conv",
                        kernel_shape=[1, 3], dilations=[1, 2], **{option: value})  # fmt: skip
        if option == "group":
            tensors["kernel"] = tensors["kernel"][:, :1]
        path = build(nodes, tmp_path / f"{option}.onnx", 2, **tensors)
        chain = assert_same(path, walk(4, 17) / 10)
        assert [name for name, _ in chain.layers][: len(steps)] == steps


@pytest.mark.parametrize("end,final", [("Softmax", "softmax"), ("LogSoftmax", "log_softmax"),
                                       ("Sigmoid", "sigmoid")])  # fmt: skip
def test_ends_are_noted(end: str, final: str, tmp_path: Path) -> None:
    nodes = keras_like("GRU", linear_before_reset=1)
    nodes[-1] = node(end, ["a"], ["y"])
    chain = load_float_model(build(nodes, tmp_path / "k.onnx", **parameters(3)), walk())
    assert [final in note for note in chain.notes] == [True]


# How values are stored -------------------------------------------------------------------------


def test_constants_that_are_computed(tmp_path: Path) -> None:
    """Weights behind Identity, Cast and Transpose, and of a sum; a bias of a Constant node."""
    tensors = parameters(3)
    double, turned = tensors["w"].astype(np.float64), tensors["r"].transpose(0, 2, 1)
    nodes = [
        node("Identity", ["w0"], ["w1"]),
        node("Cast", ["w1"], ["w"], to=TensorProto.FLOAT),
        node("Transpose", ["r0"], ["r"], perm=[0, 2, 1]),
        node("Constant", [], ["half"], value=numpy_helper.from_array(tensors["b"] / 2)),
        node("Add", ["half", "half"], ["b"]),
        *keras_like("GRU", linear_before_reset=1)[:-1],
        node("Identity", ["a"], ["y"]),
    ]
    kept = {k: v for k, v in tensors.items() if k in ("v", "c", "one")}
    path = build(nodes, tmp_path / "k.onnx", w0=double, r0=turned, **kept)
    assert load_float_model(path, walk() / 10).layers
    assert_same(path, walk(4, 17) / 10)


@pytest.mark.parametrize("kind,name", [(TensorProto.FLOAT16, "float16"),
                                       (TensorProto.DOUBLE, "float64")])  # fmt: skip
def test_other_floats_become_float32(kind: int, name: str, tmp_path: Path) -> None:
    single, numpy_kind = tmp_path / "f.onnx", helper.tensor_dtype_to_np_dtype(kind)
    tensors = {k: v.astype(numpy_kind) if v.dtype == np.float32 else v
               for k, v in parameters(3).items()}  # fmt: skip
    nodes = keras(node("Cast", ["u"], ["d"], to=kind))
    path = build(nodes, tmp_path / "k.onnx", **tensors)
    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = kind
    onnx.save(model, path)
    build(keras(end="u"), single, **{k: v.astype(np.float32) if v.dtype == numpy_kind else v
                                     for k, v in tensors.items()})  # fmt: skip
    chain, same = (load_float_model(p, walk() / 10) for p in (path, single))
    assert [name in note for note in chain.notes] == [True] and not same.notes
    np.testing.assert_array_equal(chain.run(walk(3)), same.run(walk(3)))


def test_graph_without_shapes_of_outputs(tmp_path: Path) -> None:
    path = build(keras(end="u"), tmp_path / "k.onnx", **parameters(3))
    model = onnx.load(path)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(model, path)
    assert_same(path, walk(4, 17) / 10)


def test_local_functions(tmp_path: Path) -> None:
    """Layers as functions of the model, as exporters of modules can write them."""
    path = build(keras(end="u"), tmp_path / "k.onnx", **parameters(3))
    model = onnx.load(path)
    dense = helper.make_function(
        "own", "Dense", ["u", "v", "c"], ["y"],
        [node("MatMul", ["u", "v"], ["m"]), node("Add", ["m", "c"], ["y"])],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    del model.graph.node[-2:]
    model.graph.node.append(node("Dense", ["u", "v", "c"], ["y"], domain="own"))
    model.functions.append(dense)
    model.opset_import.append(helper.make_opsetid("own", 1))
    onnx.save(model, path)
    assert [type(m) for _, m in assert_same(path, walk(4, 17) / 10).layers] == [nn.GRU, nn.Linear]


def external(folder: Path) -> Path:
    folder.mkdir()
    model = onnx.load(build(keras(end="u"), folder / "whole.onnx", **parameters(3)))
    onnx.save_model(model, folder / "m.onnx", save_as_external_data=True, location="weights.bin",
                    size_threshold=0)  # fmt: skip
    return folder / "m.onnx"


def test_weights_in_a_file_of_their_own(tmp_path: Path) -> None:
    path = external(tmp_path / "a")
    whole = load_float_model(path.with_name("whole.onnx"), walk())
    np.testing.assert_array_equal(load_float_model(path, walk()).run(walk(2)), whole.run(walk(2)))
    path.with_name("weights.bin").rename(tmp_path / "weights.bin")
    with pytest.raises(CompressError, match=r"'weights\.bin', that is not beside it: put it into"):
        load_float_model(path, walk())


@pytest.mark.parametrize("kind", ["above", "absolute", "link", "short"])
def test_weights_outside_are_never_opened(kind: str, tmp_path: Path) -> None:
    path = external(tmp_path / "a")
    inside, outside = path.with_name("weights.bin"), tmp_path / "weights.bin"
    inside.rename(outside)
    model = onnx.load(path, load_external_data=False)
    if kind == "link":
        inside.symlink_to(outside)
    elif kind == "short":
        inside.write_bytes(outside.read_bytes()[:40])
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location" and kind in ("above", "absolute"):
                entry.value = "../weights.bin" if kind == "above" else str(outside)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CompressError, match="not a valid ONNX file") as caught:
        load_float_model(path, walk())
    assert "\n" not in str(caught.value) and "export the model again" in str(caught.value)


@pytest.mark.parametrize("place", ["above", "absolute", "link", "hard link"])
@pytest.mark.parametrize("holder", ["constant", "function"])
def test_constants_outside_are_never_opened(holder: str, place: str, tmp_path: Path) -> None:
    """Tensors of nodes and of functions may say where they lie, too."""
    folder, outside = tmp_path / "a", tmp_path / "w.bin"
    folder.mkdir()
    outside.write_bytes(np.ones((CHANNELS, 2), np.float32).tobytes())
    location = {"above": "../w.bin", "absolute": str(outside)}.get(place, "w.bin")
    if place == "link":
        (folder / "w.bin").symlink_to(outside)
    elif place == "hard link":
        (folder / "w.bin").hardlink_to(outside)
    tensor = TensorProto(
        name="w", data_type=TensorProto.FLOAT, dims=[CHANNELS, 2],
        data_location=TensorProto.EXTERNAL,
    )  # fmt: skip
    tensor.external_data.add(key="location", value=location)
    nodes = [
        helper.make_node("Constant", [], ["w"], value=tensor),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("d", 1)]
    functions = []
    if holder == "function":
        functions = [helper.make_function("d", "F", ["x"], ["y"], nodes, opsets[:1])]
        nodes = [helper.make_node("F", ["x"], ["y"], domain="d")]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None, size])
        for name, size in (("x", CHANNELS), ("y", 2))
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    model = helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=8)
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CompressError, match=r"not a valid ONNX file .*TensorProto"):
        load_float_model(path, walk())


# What is refused -------------------------------------------------------------------------------


def with_inputs(path: Path, *names: str, first: bool = False) -> Path:
    """Make initializers inputs of the graph."""
    model = onnx.load(path)
    graph = model.graph
    moved = [t for t in graph.initializer if t.name in names]
    kept = [t for t in graph.initializer if t.name not in names]
    inputs = [helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in moved]
    given = list(graph.input)
    del graph.initializer[:], graph.input[:]
    graph.initializer.extend(kept)
    graph.input.extend(inputs + given if first else given + inputs)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("names", [("w", "r", "b"), ("v",), ("c",)])
def test_weights_as_inputs_are_refused(names: tuple[str, ...], first: bool, tmp_path: Path) -> None:
    path = build(keras(end="u"), tmp_path / "k.onnx", **parameters(3))
    with pytest.raises(CompressError, match="input.*" + names[0]) as caught:
        load_float_model(with_inputs(path, *names, first=first), walk())
    assert all(f"'{name}'" in str(caught.value) for name in names)


@pytest.mark.parametrize("some", [False, True])
def test_inputs_with_a_value_are_constants(some: bool, tmp_path: Path) -> None:
    """Before version 4 of the format, all weights were inputs, too."""
    path = build(keras(end="u"), tmp_path / "k.onnx", **parameters(3))
    model = onnx.load(path)
    graph, given = model.graph, [*model.graph.input]
    del graph.input[:]
    for tensor in [*graph.initializer][: 1 if some else None]:
        graph.input.append(
            helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        )
    graph.input.extend(given)
    onnx.save(model, path)
    chain = assert_same(path, walk())
    assert any("have a value in the file" in note for note in chain.notes) == some


def test_lengths_as_input_are_refused(tmp_path: Path) -> None:
    nodes = keras(end="u")
    nodes[1] = node("GRU", ["t", "w", "r", "b", "lengths"], ["h"], name="rnn", **GRU)
    path = build(nodes, tmp_path / "k.onnx", **parameters(3), lengths=np.full(8, 17, np.int32))
    with pytest.raises(CompressError, match="input 'lengths'"):
        load_float_model(with_inputs(path, "lengths"), walk())


def test_random_numbers_are_refused(tmp_path: Path) -> None:
    nodes = keras(end="u")
    nodes[1:2] = [
        node("RandomNormal", [], ["h0"], name="noise", shape=[1, 8, HIDDEN], seed=1.0),
        node("GRU", ["t", "w", "r", "b", "", "h0"], ["h"], name="rnn", **GRU),
    ]
    path = build(nodes, tmp_path / "k.onnx", **parameters(3))
    with pytest.raises(CompressError, match=r"noise \(RandomNormal\): .*random"):
        load_float_model(path, walk())


@pytest.mark.parametrize("of_weights", [False, True])
def test_custom_operators_are_refused(of_weights: bool, tmp_path: Path) -> None:
    source, result = ("k", "v") if of_weights else ("u", "d")
    other = node("Fused", [source], [result], name="own/fused", domain="com.acme")
    tensors = parameters(3)
    tensors["k"] = tensors.pop("v") if of_weights else tensors["v"]
    path = build(keras(other, end="u" if of_weights else "d"), tmp_path / "k.onnx", **tensors)
    model = onnx.load(path)
    model.opset_import.append(helper.make_opsetid("com.acme", 1))
    onnx.save(model, path)
    with pytest.raises(CompressError, match=r"own/fused .*'com\.acme'.*export standard"):
        load_float_model(path, walk())


def test_window_of_the_export_is_noted(tmp_path: Path) -> None:
    net = Net(read="last")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net.eval(), (torch.zeros(1, 75, CHANNELS),), tmp_path / "m.onnx",
                          dynamo=False)  # fmt: skip
    chain = load_float_model(tmp_path / "m.onnx", walk(12, 50), window=50)
    assert any("75" in note and "50" in note for note in chain.notes)


def test_a_step_in_the_middle_is_refused(tmp_path: Path) -> None:
    nodes = [*keras_like("GRU", linear_before_reset=1)[:-1], gather("two")]
    path = build(nodes, tmp_path / "m.onnx", 2, **parameters(3), two=np.array(2))
    with pytest.raises(CompressError, match="step|differ"):
        load_float_model(path, walk())


def test_exported_model_compresses_as_the_module_does(tmp_path: Path) -> None:
    net: Any = Net(read="last").eval()
    chains = [load_float_model(m, walk()) for m in (net, export(net, tmp_path / "m.onnx"))]
    np.testing.assert_allclose(*(chain.run(walk(3)) for chain in chains), atol=1e-5)


def test_a_window_that_is_cut_to_nothing_is_refused(tmp_path: Path) -> None:
    nodes = keras(end="u")
    nodes[0:1] = [node("Slice", ["x", "far", "end", "time"], ["cut"]),
                  node("Transpose", ["cut"], ["t"], perm=[1, 0, 2])]  # fmt: skip
    cut = {"far": np.array([900]), "end": np.array([999]), "time": np.array([1])}
    path = build(nodes, tmp_path / "k.onnx", **parameters(3), **cut)
    with pytest.raises(CompressError, match=r"rnn \(GRU\) reads no samples"):
        load_float_model(path, walk())

"""Primitives of a step on arrays, and traced to ONNX in onnxruntime and onnx's evaluator.

It alone would catch a primitive that rounds, clips or gathers otherwise in ONNX where no cell of
the tests happens to reach: their inputs are at the ends of all ranges here.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from edgeflow.errors import ProgramError
from edgeflow.program import fixedpoint as fp
from edgeflow.program import onnx_functions as fn
from edgeflow.program.tracing import INT64, Body

Case = Callable[[Any, Any, Any, Any], Any]
COLUMNS = 6
#: Of a and b [n, COLUMNS] within 32 bits, p (int16 [COLUMNS]) and bits, an attribute in 1..15.
CASES: dict[str, Case] = {
    "saturate": lambda a, b, p, bits: fp.saturate(a),
    "clip": lambda a, b, p, bits: fp.clip(a, bits + 1),
    "narrow": lambda a, b, p, bits: fp.narrow(a, bits, 17 - bits),
    "saturate_between": lambda a, b, p, bits: fp.saturate(a, -abs(b), abs(b)),
    "shift_right": lambda a, b, p, bits: (a >> 7) + (b >> bits),
    "shift_right_round": lambda a, b, p, bits: fp.shift_right_round(a * b, 15 + bits),
    "shift_right_round_each": lambda a, b, p, bits: fp.shift_right_round(
        a, (p.astype(np.int64) & 15) + 1
    ),
    "shift_left": lambda a, b, p, bits: (a << bits) + (1 << bits) + (3 << bits) + (b << 3),
    "requantize": lambda a, b, p, bits: fp.requantize(a >> 15, b & 0x7FFFFFFF, bits),
    "sigmoid": lambda a, b, p, bits: fp.lookup("sigmoid", fp.saturate(a)),
    "tanh": lambda a, b, p, bits: fp.lookup("tanh", fp.saturate(a)),
    "decay": lambda a, b, p, bits: fp.lookup("decay", fp.saturate(a)),
    "log_sigmoid": lambda a, b, p, bits: fp.lookup("log_sigmoid", fp.saturate(a)),
    "reciprocal": lambda a, b, p, bits: fp.interpolate(fp.nodes_of("reciprocal", a), a & 0x7FFF, 7),
    "split": lambda a, b, p, bits: np.concatenate(fp.split(a, 3)[::-1], axis=1),
    "largest": lambda a, b, p, bits: fp.largest(a, 2),
    "switch": lambda a, b, p, bits: fp.switch(bits >> 3, lambda: a, lambda: -b),
    "switch_of_three": lambda a, b, p, bits: fp.switch(
        bits % 3, lambda: a + b, lambda: a - b, lambda: abs(a)
    ),
    "where": lambda a, b, p, bits: np.where((a < b) & (a > 0) | (b == 0), a, p),
    "compare": lambda a, b, p, bits: (a <= b) + 2 * (a >= p).astype(np.int64) + (a < 0),
    "min_max": lambda a, b, p, bits: np.minimum(np.abs(a), 5) + np.maximum(b, p),
    "rest": lambda a, b, p, bits: a % 7 + (b & 255) + (a + b) % bits,
    "slices": lambda a, b, p, bits: a[:, 1:] - b[..., :-1] + p[..., 1:] + a[:, ::2][:, :1],
    "reversed": lambda a, b, p, bits: a[:, ::-1] - b[:, 2::3][:, ::-1][:, :1],
    "columns": lambda a, b, p, bits: a.T[(p.astype(np.int64) & 3)].T,
    "log2": lambda a, b, p, bits: fp.interpolate(fp.nodes_of("log2", a), a & 0x3FFFFF, 14),
    "delay": lambda a, b, p, bits: np.concatenate([a, b], axis=1)[:, p.size :],
    "groups": lambda a, b, p, bits: a.reshape(-1, p.size - 4, 3).sum(axis=-1),
    "outer": lambda a, b, p, bits: (a[:, None] - p.reshape(-1, 1)).reshape(-1, 36),
    "sums": lambda a, b, p, bits: a.sum(axis=1, keepdims=True) + (a[..., None] - p).sum(axis=2),
    "matmul": lambda a, b, p, bits: (a >> 17)[:, :3] @ p.reshape(-1, 3).astype(np.int64).T,
    "pad": lambda a, b, p, bits: np.pad(a, ((0, 0), (p.size - 4, 0))),
}
ENDS = [0, 1, -1, 2, 255, 256, 32767, -32768, 32768, -32769, (1 << 31) - 1, -(1 << 31) + 1]
NUMBERS = st.sampled_from(ENDS) | st.integers(-(1 << 31) + 1, (1 << 31) - 1)
SHORTS = st.sampled_from([0, 1, -1, 32767, -32768]) | st.integers(-32768, 32767)


def model(name: str, bits: int) -> onnx.ModelProto:
    """Return a graph that calls the traced case."""
    body = Body()
    kinds = {"a": INT64, "b": INT64, "p": TensorProto.INT16}
    a, b, p = (body.input(tensor, kind) for tensor, kind in kinds.items())
    body.give("y", CASES[name](a, b, p, body.attribute("bits")), INT64)
    tables = [f"{table}_table" for table in fp.TABLES]
    inputs = ["a", "b", "p", *tables]
    call = helper.make_node("Case", inputs, ["y"], domain=fn.DOMAIN, bits=bits)
    shapes = {"a": ["n", COLUMNS], "b": ["n", COLUMNS]}
    graph = helper.make_graph(
        [call],
        "case",
        [helper.make_tensor_value_info(n, INT64, shape) for n, shape in shapes.items()]
        + [helper.make_tensor_value_info("p", TensorProto.INT16, [COLUMNS])],
        [helper.make_tensor_value_info("y", INT64, None)],
        [onnx.numpy_helper.from_array(made(), f"{t}_table") for t, made in fp.TABLES.items()],
    )
    function = fn.function("Case", inputs, ["y"], body.nodes, ["bits"])
    opsets = [helper.make_opsetid("", fn.OPSET), helper.make_opsetid(fn.DOMAIN, 1)]
    return helper.make_model(
        graph,
        ir_version=fn.IR_VERSION,
        opset_imports=opsets,
        functions=[fn.lookup_function(), function],
    )


@cache
def engines(name: str, bits: int) -> list[Any]:
    made = model(name, bits)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(made.SerializeToString(), options)
    return [session, ReferenceEvaluator(made)]


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_traced_equals_numpy(name: str, data: st.DataObject) -> None:
    bits = data.draw(st.sampled_from([1, 7, 8, 15]))
    a, b = (
        np.array(data.draw(st.lists(NUMBERS, min_size=COLUMNS, max_size=COLUMNS)))[None]
        for _ in range(2)
    )
    p = np.array(data.draw(st.lists(SHORTS, min_size=COLUMNS, max_size=COLUMNS)), np.int16)
    expected = CASES[name](a, b, p, bits)
    for engine in engines(name, bits):
        (y,) = engine.run(None, {"a": a, "b": b, "p": p})
        np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize(
    "step,message",
    [
        (lambda a: a if a else -a, "cannot branch on a traced number"),
        (lambda a: np.sqrt(a), "numpy.sqrt has no form in ONNX"),
        (lambda a: np.cumsum(a, axis=1), "cannot be traced through numpy.cumsum"),
        (lambda a: np.add.reduce(a), "cannot be traced through numpy.add.reduce"),
        (lambda a: a[0, 1:], "slices of one axis"),
        (lambda a: a & 5, "numpy.bitwise_and has no form"),
    ],
)
def test_what_cannot_be_traced_is_named(step: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        step(Body().input("a", INT64))


def test_equal_operators_are_there_once() -> None:
    body = Body()
    a = body.input("a", INT64)
    body.give("y", fp.saturate(a + 1) + fp.saturate(a + 1), INT64)
    assert [node.op_type for node in body.nodes].count("Min") == 1

"""Writes the graph of one step, quantized, as the flatbuffer of a ``.tflite`` file."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.exporting import litert

Kind = type[np.int8] | type[np.int16] | type[np.int32]

#: Version of the file format.
SCHEMA_VERSION = 3
#: What LiteRT's logistic and tanh kernels demand of their outputs: scale and zero point.
LOGISTIC_OUTPUT = {np.int8: (2.0**-8, -128), np.int16: (2.0**-15, 0)}
TANH_OUTPUT = {np.int8: (2.0**-7, 0), np.int16: (2.0**-15, 0)}


@dataclass(frozen=True)
class Tensor:
    """A vector of `size` integers a stream: ``real = scale * (integer - zero)``."""

    index: int
    name: str
    size: int
    kind: Kind
    scale: float
    zero: int = 0


class StepGraph:
    """A graph that is built one builtin operator at a time; all tensors are [batch, size].

    The batch is 1 in the file; an interpreter can resize it.
    """

    def __init__(self, description: str) -> None:
        self._s = s = litert.schema()
        self._model = s.ModelT(
            version=SCHEMA_VERSION, description=description, operatorCodes=[],
            buffers=[s.BufferT()], metadata=[],
        )  # fmt: skip
        self._graph = s.SubGraphT(name="step", tensors=[], operators=[], inputs=[], outputs=[])
        self._model.subgraphs = [self._graph]
        self._signature = s.SignatureDefT(signatureKey="step", inputs=[], outputs=[])
        self._model.signatureDefs = [self._signature]
        self._codes: dict[tuple[int, int], int] = {}

    def input(self, name: str, size: int, kind: Kind, scale: float) -> Tensor:
        """Add an input of the step."""
        tensor = self._value(name, size, kind, scale)
        self._graph.inputs.append(tensor.index)
        self._signature.inputs.append(self._s.TensorMapT(name, tensor.index))
        return tensor

    def output(self, name: str, tensor: Tensor) -> None:
        """Make a tensor an output of the step; it takes the name."""
        if tensor.index in self._graph.outputs:
            tensor = self.quantize(name, tensor, tensor.kind, tensor.scale)  # a copy
        self._graph.tensors[tensor.index].name = name
        self._graph.outputs.append(tensor.index)
        self._signature.outputs.append(self._s.TensorMapT(name, tensor.index))

    def attach(self, name: str, content: bytes) -> None:
        """Add an entry of the file's metadata."""
        buffer = self._buffer(np.frombuffer(content, np.uint8))
        self._model.metadata.append(self._s.MetadataT(name, buffer))

    def affine(
        self, name: str, x: Tensor, weight: NDArray[np.int8], weight_scale: NDArray[np.float64],
        bias: NDArray[np.float64], scale: float,
    ) -> Tensor:  # fmt: skip
        """Add ``W x + b``.

        Parameters
        ----------
        weight : int8 array [rows, cols]
        weight_scale : float64 array [rows]
            Real value of one unit of a row's weights.
        bias : float64 array [rows]
            Real values.
        scale : float
            Of the result, whose type is that of x: int8 or int16.
        """
        unit = weight_scale.astype(np.float32).astype(np.float64) * np.float64(np.float32(x.scale))
        # wide accumulators for int16: 64 bits
        bias_kind = np.int32 if x.kind is np.int8 else np.int64
        limit = np.iinfo(np.int32).max
        whole = np.clip(np.round(bias / unit), -limit, limit).astype(bias_kind)
        w = self._constant(f"{name}.weight", weight, weight_scale)
        b = self._constant(f"{name}.bias", whole, unit)
        y = self._value(name, len(bias), x.kind, scale)
        options = self._s.FullyConnectedOptionsT()
        return self._operator("FULLY_CONNECTED", 12, [x.index, w, b], y, options)

    def add(self, name: str, a: Tensor, b: Tensor, kind: Kind, scale: float) -> Tensor:
        """Add ``a + b``; in int32 all three scales must be the same."""
        return self._binary("ADD", {np.int8: 2, np.int16: 3, np.int32: 1}, name, a, b, kind, scale)

    def sub(self, name: str, a: Tensor, b: Tensor, kind: Kind, scale: float) -> Tensor:
        """Add ``a - b``; in int32 all three scales must be the same."""
        return self._binary("SUB", {np.int8: 2, np.int16: 5, np.int32: 1}, name, a, b, kind, scale)

    def mul(self, name: str, a: Tensor, b: Tensor, kind: Kind, scale: float) -> Tensor:
        """Add ``a b``; in int32 the result's scale must be the product of theirs."""
        return self._binary("MUL", {np.int8: 2, np.int16: 2, np.int32: 1}, name, a, b, kind, scale)

    def logistic(self, name: str, x: Tensor) -> Tensor:
        """Add the logistic function, in the type of x."""
        return self._function("LOGISTIC", name, x, *LOGISTIC_OUTPUT[x.kind])

    def tanh(self, name: str, x: Tensor) -> Tensor:
        """Add the hyperbolic tangent, in the type of x."""
        return self._function("TANH", name, x, *TANH_OUTPUT[x.kind])

    def relu(self, name: str, x: Tensor, scale: float) -> Tensor:
        """Add ``max(x, 0)`` in the type of x, with a scale of its own."""
        return self._operator("RELU", 2, [x.index], self._value(name, x.size, x.kind, scale))

    def quantize(self, name: str, x: Tensor, kind: Kind, scale: float) -> Tensor:
        """Add a change of type and scale; it saturates."""
        version = 2 if x.kind is np.int8 and kind is np.int8 else 3
        return self._operator(
            "QUANTIZE", version, [x.index], self._value(name, x.size, kind, scale)
        )

    def concatenate(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        """Add a, then b side by side; both have the same type and scale."""
        y = self._value(name, a.size + b.size, a.kind, a.scale)
        options = self._s.ConcatenationOptionsT(axis=1)
        version = 2 if a.kind is np.int8 else 3
        return self._operator("CONCATENATION", version, [a.index, b.index], y, options)

    def gather(self, name: str, x: Tensor, columns: NDArray[np.int64]) -> Tensor:
        """Add a choice of columns."""
        version = 2 if x.kind is np.int8 else 4
        chosen = self._constant(f"{name}.columns", columns.astype(np.int32), None)
        y = self._value(name, columns.size, x.kind, x.scale)
        options = self._s.GatherOptionsT(axis=1)
        return self._operator("GATHER", version, [x.index, chosen], y, options)

    def content(self) -> bytes:
        """Return the file's bytes."""
        return litert.pack(self._model)

    def _binary(
        self, code: str, versions: dict[Any, int], name: str, a: Tensor, b: Tensor, kind: Kind,
        scale: float,
    ) -> Tensor:  # fmt: skip
        y = self._value(name, a.size, kind, scale)
        options = getattr(self._s, f"{code.capitalize()}OptionsT")()
        if hasattr(options, "potScaleInt16"):
            options.potScaleInt16 = False  # any scale
        return self._operator(code, versions[kind], [a.index, b.index], y, options)

    def _function(self, code: str, name: str, x: Tensor, scale: float, zero: int) -> Tensor:
        y = self._value(name, x.size, x.kind, scale, zero)
        return self._operator(code, 2 if x.kind is np.int8 else 3, [x.index], y)

    def _operator(
        self, code: str, version: int, inputs: list[int], y: Tensor, options: Any = None
    ) -> Tensor:
        s = self._s
        builtin = getattr(s.BuiltinOperator, code)
        key = (builtin, version)
        if key not in self._codes:
            self._codes[key] = len(self._model.operatorCodes)
            self._model.operatorCodes.append(
                s.OperatorCodeT(
                    deprecatedBuiltinCode=min(builtin, 127), version=version, builtinCode=builtin
                )
            )
        kind = type(options).__name__.removesuffix("T") if options else "NONE"
        self._graph.operators.append(
            s.OperatorT(
                opcodeIndex=self._codes[key], inputs=inputs, outputs=[y.index],
                builtinOptionsType=getattr(s.BuiltinOptions, kind), builtinOptions=options,
            )
        )  # fmt: skip
        return y

    def _value(self, name: str, size: int, kind: Kind, scale: float, zero: int = 0) -> Tensor:
        index = self._tensor(name, [1, size], np.dtype(kind), [scale], zero)
        self._graph.tensors[index].shapeSignature = [-1, size]
        return Tensor(index, name, size, kind, scale, zero)

    def _constant(self, name: str, data: NDArray[Any], scale: Any) -> int:
        return self._tensor(name, list(data.shape), data.dtype, scale, 0, self._buffer(data))

    def _tensor(
        self, name: str, shape: list[int], kind: Any, scale: Any, zero: int, buffer: int = 0
    ) -> int:
        s = self._s
        code = getattr(s.TensorType, kind.name.upper())
        quantization = None
        if scale is not None:
            scales = np.asarray(scale, np.float32)
            quantization = s.QuantizationParametersT(
                scale=scales, zeroPoint=np.full(scales.shape, zero, np.int64)
            )
        self._graph.tensors.append(
            s.TensorT(shape=shape, type=code, buffer=buffer, name=name, quantization=quantization)
        )
        return len(self._graph.tensors) - 1

    def _buffer(self, data: NDArray[Any]) -> int:
        little = data.astype(data.dtype.newbyteorder("<"))
        self._model.buffers.append(self._s.BufferT(data=np.frombuffer(little.tobytes(), np.uint8)))
        return len(self._model.buffers) - 1

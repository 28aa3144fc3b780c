"""What every integer layer offers to the program, the ONNX file and the code generator."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import Ints
from edgeflow.program.matrix import Matrix

State = dict[str, Ints]


@dataclass(frozen=True)
class Node(ABC):
    """One layer of the step graph.

    Sub-classes are frozen dataclasses whose fields are `Matrix` or int; these are stored,
    hashed and emitted as C in their order.
    """

    #: Name of the layer, a C identifier, unique in the program.
    name: str

    #: Operator name in the ONNX domain ``edgeflow``.
    op_type: ClassVar[str]
    #: Matrix-valued fields.
    matrix_fields: ClassVar[tuple[str, ...]]
    #: Integer fields.
    int_fields: ClassVar[tuple[str, ...]] = ()
    #: Constant tables that the layer's function and kernel read.
    tables: ClassVar[tuple[str, ...]] = ()
    #: C files of the layer below ``firmware/kernels``, matvec kernels and tables apart.
    c_sources: ClassVar[tuple[str, ...]] = ()

    @property
    @abstractmethod
    def inputs(self) -> int:
        """Number of input values."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Number of output values."""

    @property
    @abstractmethod
    def input_bits(self) -> int:
        """Declared width of the input."""

    @property
    @abstractmethod
    def output_bits(self) -> int:
        """Declared width of the output."""

    @classmethod
    def matrix_bits(cls, field: str, input_bits: int, ints: Mapping[str, int]) -> int:
        """Return the width of what the matrix `field` reads, given the layer's input width."""
        return input_bits

    @property
    def states(self) -> Mapping[str, int]:
        """Name and size of each int16 state vector."""
        return {}

    @property
    def scratch(self) -> int:
        """Number of int16 values that a step needs as working memory."""
        return 0

    @abstractmethod
    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        """Return the output and the next state for x [n, inputs]."""

    @classmethod
    @abstractmethod
    def onnx_function(cls) -> onnx.FunctionProto:
        """Return the same step in standard integer operators."""

    @abstractmethod
    def c_call(self, x: str, y: str, state: Mapping[str, str], scratch: str) -> str:
        """Return the C statement of a step, given C expressions of its int16 arrays."""

    @abstractmethod
    def c_struct(self) -> tuple[str, dict[str, str]] | None:
        """Return the parameter struct's type and its members that are not matrices."""

    def matrices(self) -> dict[str, Matrix]:
        """Return the layer's matrices by field name."""
        return {field: getattr(self, field) for field in self.matrix_fields}

    def ints(self) -> dict[str, int]:
        """Return the layer's integer fields."""
        return {field: int(getattr(self, field)) for field in self.int_fields}

    def macs(self) -> int:
        """Return the multiply-accumulates of a dense step."""
        return sum(matrix.rows * matrix.cols for matrix in self.matrices().values())

    def weight_bytes(self) -> int:
        """Return the bytes of weights, biases and multipliers, unpacked."""
        return sum(
            m.weight.nbytes + m.bias.nbytes + m.multiplier.nbytes for m in self.matrices().values()
        )


def zeros(n: int, size: int) -> NDArray[np.int64]:
    """Return an all-zero state [n, size]."""
    return np.zeros((n, size), dtype=np.int64)

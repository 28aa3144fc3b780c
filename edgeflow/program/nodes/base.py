"""Interface of integer layers to the program, the ONNX file and the code generator."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import ProgramError
from edgeflow.program.fixedpoint import INT16_MAX, INT16_MIN, Ints, lookup
from edgeflow.program.matrix import Matrix

State = dict[str, Ints]
#: Least and largest value of a field. A promise to all readers of the class: no node holds
#: another value, the type in C and in the file follows from it, and the tests of a cell draw from
#: it. The line that states it is its only code.
Range = tuple[int, int]
#: Size and bits of a vector: each a number, or the name of an attribute, like ``input.rows``.
VectorField = tuple[str | int, str | int]
#: Range of an array of any int16.
INT16: Range = (INT16_MIN, INT16_MAX)

#: Behind a matrix's name: its factor.
FACTOR = "_factor"


@dataclass(frozen=True)
class StateVector:
    """A state of `size` integers of `bits` bits, kept as int16 or, above 16 bits, as int32."""

    size: int
    bits: int = 16

    @property
    def dtype(self) -> type[np.int16] | type[np.int32]:
        return np.int16 if self.bits <= 16 else np.int32

    @property
    def nbytes(self) -> int:
        return self.size * np.dtype(self.dtype).itemsize


class Activated(NamedTuple):
    """Rows of matrices whose results are added up.

    Attributes
    ----------
    rows : int
        Number of them in each matrix.
    first : mapping
        The first row, by the matrix's field.
    """

    rows: int
    first: Mapping[str, int]


@dataclass(frozen=True, eq=False, repr=False)
class Node(ABC):
    """One layer of the step graph.

    Sub-classes are frozen dataclasses (``eq=False, repr=False``: arrays have no one answer to
    ``==``) whose fields are `Matrix`, arrays or int; these are stored, hashed and emitted as C in
    their order, without further code. A matrix or an array whose default is None may be left out:
    it is stored nowhere, and a null pointer in C.
    """

    #: Name of the layer, a C identifier, unique in the program.
    name: str

    #: Name of the kind of layer; see `operator` for its name in an ONNX file.
    op_type: ClassVar[str]
    #: Size and bits of x: by default those that its matrix `input` reads.
    x_field: ClassVar[VectorField] = ("input.inputs", "input.x_bits")
    #: Size and bits of y.
    y_field: ClassVar[VectorField]
    #: Fields that are `Matrix`.
    matrix_fields: ClassVar[tuple[str, ...]] = ()
    #: Matrices that may be delta ones or of low rank, and what each reads: "x" or the name of an
    #: int16 state.
    delta_sources: ClassVar[Mapping[str, str]] = {}
    #: Fields that are vectors of int16 or, if their range takes it, of int32.
    array_fields: ClassVar[Mapping[str, Range]] = {}
    #: Properties whose values the C function needs too, at most 65535.
    size_fields: ClassVar[tuple[str, ...]] = ("hidden",)
    #: Fields that are int.
    int_fields: ClassVar[Mapping[str, Range]] = {}
    #: Of these, those that the step unrolls loops by: `operator` has them, each its own function.
    unrolled_fields: ClassVar[tuple[str, ...]] = ()
    #: States, zero after a reset.
    state_fields: ClassVar[Mapping[str, VectorField]] = {}
    #: Of these, what a step learns: a reset leaves them.
    kept_fields: ClassVar[tuple[str, ...]] = ()
    #: Of these, what a reset may set to other values than zero (`Program.start`).
    start_fields: ClassVar[tuple[str, ...]] = ()
    #: What learning on the device changes, and no reset does; zero before the first label.
    learned_fields: ClassVar[Mapping[str, VectorField]] = {}
    #: What is computed of it, which the step reads and leaves; zero before the first label.
    derived_fields: ClassVar[Mapping[str, VectorField]] = {}
    #: Constant tables that the layer's function and kernel read.
    tables: ClassVar[tuple[str, ...]] = ()
    #: The int16 state that is the layer's output; None if the output is a vector of its own.
    output_state: ClassVar[str | None] = None
    #: Struct of the layer's parameters in ``ef_cells.h``.
    c_struct: ClassVar[str | None] = None
    #: Function of its step, whose file ``firmware/kernels/<c_function>.c`` is named after it. Of a
    #: class that names its struct, it is ``<c_struct>_step`` unless it is named, too.
    c_function: ClassVar[str | None] = None
    #: Functions that `c_function` calls, each in a file named after it.
    c_helpers: ClassVar[tuple[str, ...]] = ()
    #: No backend writes the step anew: it is a transform whose order of work is its kernel.
    kernel_only: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "c_struct" in vars(cls) and "c_function" not in vars(cls):
            cls.c_function = f"{cls.c_struct}_step"

    def __post_init__(self) -> None:
        """Raise a ProgramError if an int or an array leaves its range; sub-classes check more."""
        for field, (low, high) in self.int_fields.items():
            value = getattr(self, field)
            self.require(low <= value <= high, f"{field} {value} is not in {low}..{high}")
        for field, array in self.arrays().items():
            low, high = self.array_fields[field]
            kind = array_type((low, high))
            self.require(
                array.dtype == kind and array.ndim == 1 and np.clip(array, low, high) == array,
                f"{field} must be {kind.__name__} values in {low}..{high}",
            )

    def require(self, holds: bool | NDArray[np.bool_], message: str) -> None:
        """Raise a ProgramError that names the layer unless all of a condition holds."""
        if not np.all(holds):
            raise ProgramError(f"layer {self.name}: {message}")

    @property
    def inputs(self) -> int:
        """Number of input values."""
        return self._value(self.x_field[0])

    @property
    def outputs(self) -> int:
        """Number of output values."""
        return self._value(self.y_field[0])

    @property
    def input_bits(self) -> int:
        """Declared width of the input."""
        return self._value(self.x_field[1])

    @property
    def output_bits(self) -> int:
        """Declared width of the output."""
        return self._value(self.y_field[1])

    @property
    def states(self) -> Mapping[str, StateVector]:
        """State vectors by name, without those of size 0."""
        return self._vectors(self.state_fields)

    @property
    def learned(self) -> Mapping[str, StateVector]:
        """What learning on the device changes, by name."""
        return self._vectors(self.learned_fields)

    @property
    def derived(self) -> Mapping[str, StateVector]:
        """What is computed of `learned`, by name."""
        return self._vectors(self.derived_fields)

    @property
    def saved(self) -> Mapping[str, StateVector]:
        """What is saved of what was learned, by labels or by the step, by name."""
        return {**{name: self.states[name] for name in self.kept_fields}, **self.learned}

    def restored(self, state: State) -> State:
        """Return a state with learned values in range, and what is derived of them."""
        return state

    def _vectors(self, fields: Mapping[str, VectorField]) -> Mapping[str, StateVector]:
        sizes = {name: self._value(size) for name, (size, _) in fields.items()}
        return {
            name: StateVector(sizes[name], self._value(bits))
            for name, (_, bits) in fields.items()
            if sizes[name]
        }

    def _value(self, field: str | int) -> int:
        return field if isinstance(field, int) else int(attrgetter(field)(self))

    @property
    def held(self) -> Mapping[str, StateVector]:
        """State vectors x_hat of the delta matrices, by name ``<matrix>_hat``; zero after a reset.

        In C it is part of a matrix's memory, and no state of its own.
        """
        return {
            f"{field}_hat": StateVector(matrix.cols, matrix.input_bits)
            for field, matrix in self.delta_matrices().items()
        }

    @property
    def vectors(self) -> Mapping[str, StateVector]:
        """All that a stream has in this layer: `states`, `held`, `learned` and `derived`."""
        return {**self.states, **self.held, **self.learned, **self.derived}

    @property
    def scratch(self) -> int:
        """Number of int16 values that a step needs as working memory."""
        return 0

    @property
    def scratch32(self) -> int:
        """Number of int32 values that a step needs besides."""
        return 0

    @property
    def operator(self) -> str:
        """Name in the ONNX domain ``edgeflow``: `op_type`, optional fields, kinds of matrices.

        An ONNX function has one list of inputs and one body, so each combination has its own.
        """
        unrolled = [str(getattr(self, field)) for field in self.unrolled_fields]
        parts = [*self.matrices(), *self.arrays()]
        optional = [part for part in parts if is_optional(self, part)]
        delta = [f"delta_{field}" for field in self.delta_matrices()]
        low_rank = [f"low_rank_{field}" for field, m in self.matrices().items() if m.factor]
        return "_".join([self.op_type, *unrolled, *optional, *delta, *low_rank])

    @property
    def hidden(self) -> int:
        """Number of units."""
        return self.outputs

    @property
    def c_sizes(self) -> dict[str, int]:
        """Members of the parameter struct after matrices and arrays, before the int fields."""
        return {field: getattr(self, field) for field in self.size_fields}

    @abstractmethod
    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        """Return the output and the next state for x [n, inputs]: the layer's arithmetic.

        Products are taken by `product`, and `advance` calls it: `state` has what is held already
        after this x.

        It runs on int64 arrays and is traced on `Traced` tensors, for the ONNX function: what it
        computes with is x, states and fields, by operators, the functions of
        `edgeflow.program.fixedpoint`, ``numpy.where``, ``concatenate``, ``minimum``, ``maximum``
        and ``abs``, slices of one axis, ``reshape`` and ``sum``. It does not branch on int
        fields: `switch` does. Arrays of int16 or int32 wrap in numpy unless ``astype(np.int64)``
        or an int64 operand widens them.
        """

    def advance(self, x: Ints, state: State) -> tuple[Ints, State]:
        """Return the output and the next state, `held` included, for x [n, inputs]."""
        held = {}
        for field, matrix in self.delta_matrices().items():
            source = self.source_of(field)
            value = x if source == "x" else state[source]
            held[f"{field}_hat"] = matrix.hold(value, state[f"{field}_hat"])
        y, following = self.step(x, {**state, **held})
        return y, {**following, **held}

    def product(self, field: str, x: Ints, state: State) -> Ints:
        """Return the matrix `field` applied to x, or to what it or its factor holds of x."""
        matrix: Matrix = getattr(self, field)
        held = factor_of(field) if matrix.factor else field
        return matrix.apply(state.get(f"{held}_hat", x))

    def activate(self, name: str, sums: Ints) -> Ints:
        """Return a table's values, Q0.15, at sums of products, Q3.12 in int16: see `activated`."""
        return lookup(name, sums)

    @property
    def activated(self) -> Sequence[Activated]:
        """Sums of products that go to `activate` as they are, and nowhere else.

        An analog array can take such a sum in one column, and convert it by the function itself.
        """
        return ()

    def c_call(self, x: str, y: str, state: Mapping[str, str], scratch: tuple[str, str]) -> str:
        """Return the C statement of a step, given C expressions of its arrays.

        The function takes the parameters, x, the states (null for one of size 0), what is derived
        of what was learned, y unless it is one of the states, and the working memory that the class
        asks for.
        """
        vectors = (*self.state_fields, *self.derived_fields)
        arguments = [f"&{self.name}_cell", x, *(state.get(s, "0") for s in vectors)]
        if self.output_state is None:
            arguments.append(y)
        arguments += [
            buffer for buffer, used in zip(scratch, self.c_scratch(), strict=True) if used
        ]
        return f"{self.c_function}({', '.join(arguments)});"

    @classmethod
    def c_scratch(cls) -> tuple[bool, bool]:
        """Tell whether the C function takes working memory of int16, and of int32."""
        return cls.scratch is not Node.scratch, cls.scratch32 is not Node.scratch32

    def matrices(self) -> dict[str, Matrix]:
        """Return the matrices that the layer has, by field name."""
        found = {field: getattr(self, field) for field in self.matrix_fields}
        return {field: matrix for field, matrix in found.items() if matrix is not None}

    def products(self) -> dict[str, Matrix]:
        """Return the matrices that are stored, by name: each one after its factor."""
        found: dict[str, Matrix] = {}
        for field, matrix in self.matrices().items():
            if matrix.factor is not None:
                found[factor_of(field)] = matrix.factor
            found[field] = matrix
        return found

    def calls(self, product: str) -> int:
        """Return how often a step takes a product of `products`."""
        return 1

    def delta_matrices(self) -> dict[str, Matrix]:
        """Return the products that have a threshold, by name."""
        return {name: matrix for name, matrix in self.products().items() if matrix.threshold}

    def source_of(self, product: str) -> str:
        """Return the input of a product that may be a delta one: "x" or the name of a state."""
        return self.delta_sources[product.removesuffix(FACTOR)]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that the layer has, by field name."""
        found = {field: getattr(self, field) for field in self.array_fields}
        return {field: array for field, array in found.items() if array is not None}

    def ints(self) -> dict[str, int]:
        """Return the layer's integer fields."""
        return {field: int(getattr(self, field)) for field in self.int_fields}

    def weight_bits(self) -> tuple[int, ...]:
        """Return the widths that weights of the layer's products are stored in, narrow first."""
        return tuple(sorted({matrix.weight_bits for matrix in self.products().values()}))

    def __repr__(self) -> str:
        bits = "".join(f", int{bits}" for bits in self.weight_bits())
        return f"{self.op_type}({self.name} {self.inputs}->{self.outputs}{bits})"

    def macs(self) -> int:
        """Return the multiply-accumulates of a dense step."""
        return sum(matrix.rows * matrix.cols for matrix in self.products().values())

    def taken_macs(self) -> int:
        """Return the multiply-accumulates of a step, but for those of zeros that it leaves out."""
        return self.macs()

    def weight_bytes(self) -> int:
        """Return the bytes of weights, biases, multipliers and arrays, unpacked."""
        tensors = [t for m in self.products().values() for t in (m.weight, m.bias, m.multiplier)]
        return sum(tensor.nbytes for tensor in (*tensors, *self.arrays().values()))


def array_type(values: Range) -> type[np.int16] | type[np.int32]:
    """Return the type of an array whose values are in a range."""
    return np.int16 if values[0] >= INT16_MIN and values[1] <= INT16_MAX else np.int32


def factor_of(field: str) -> str:
    """Return the name of the factor of the matrix `field`."""
    return field + FACTOR


def is_optional(node: Node | type[Node], field: str) -> bool:
    """Tell whether the default of a matrix or an array is None."""
    return any(f.name == field and f.default is None for f in fields(node))


def zeros(n: int, size: int) -> NDArray[np.int64]:
    """Return an all-zero state [n, size]."""
    return np.zeros((n, size), dtype=np.int64)

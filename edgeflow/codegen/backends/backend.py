"""The protocol of a backend: what writes the code of products and of steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edgeflow.codegen.costs import Cost
from edgeflow.codegen.kernels import MatvecKernel
from edgeflow.codegen.layouts.layout import Packed
from edgeflow.errors import EdgeFlowError
from edgeflow.program import Program
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes import Node
from edgeflow.targets.board import CoreSpec


@dataclass(frozen=True, eq=False)
class Product:
    """A matrix-vector product of a layer: a field of ``node.products()``, its kernel, its weights.

    Its constants in C have names that begin with `name`.
    """

    node: Node
    field: str
    matrix: Matrix
    kernel: MatvecKernel
    packed: Packed

    @property
    def name(self) -> str:
        return f"{self.node.name}_{self.field}"


@dataclass(frozen=True)
class Site:
    """A layer, and the C expressions of what its step reads and writes in ``model_t``."""

    node: Node
    x: str
    y: str
    states: Mapping[str, str]
    scratch: tuple[str, str] = ("model->scratch", "model->scratch32")


@dataclass(frozen=True)
class StepCode:
    """A layer's step in ``model.c``, where ``@`` stands before all names of ``ef_kernels.h``.

    Parameters
    ----------
    statement : str
        Calls it.
    declaration : str
        What the statement needs after the layer's constants; may be empty.
    arrays : tuple of str
        Arrays of the layer that it reads.
    scratch, scratch32 : int
        Numbers of int16 and of int32 values that it needs as working memory.
    """

    statement: str
    declaration: str
    arrays: tuple[str, ...]
    scratch: int
    scratch32: int = 0


@dataclass(frozen=True)
class Code:
    """What a backend adds to a library.

    Parameters
    ----------
    steps : mapping
        By the layer's name.
    functions : frozenset of str
        Functions of ``firmware/kernels`` that are called.
    files : mapping
        Text of generated sources, by name.
    """

    steps: Mapping[str, StepCode] = field(default_factory=dict)
    functions: frozenset[str] = frozenset()
    files: Mapping[str, str] = field(default_factory=dict)


class Backend(Protocol):
    """Something that writes kernels and the steps of layers."""

    @property
    def name(self) -> str:
        """As ``--backend`` has it."""

    @property
    def per_shape(self) -> bool:
        """Whether each shape has a function of its own, of weights, x and y, which adds code.

        Such kernels are chosen only where they were measured, and never for size.
        """

    def unavailable(self, core: CoreSpec) -> EdgeFlowError | None:
        """Return why it cannot write for a core here, or None."""

    def kernel_sets(self, core: CoreSpec) -> tuple[str, ...]:
        """Return the kernel sets that a core has with it, in order of preference."""

    def owns(self, kernel: MatvecKernel) -> bool:
        """Tell whether a kernel is of this backend."""

    def costs(self, core: str) -> Mapping[str, Cost]:
        """Return what is known of its kernels on a core; a TargetError if a file is wrong."""

    def layers(self, program: Program, core: CoreSpec, goal: str, alone: bool) -> tuple[str, ...]:
        """Return the layers whose step it should write: all that it can if `alone`."""

    def symbol(self, kernel: MatvecKernel, matrix: Matrix) -> str:
        """Return the C function that multiplies by a matrix."""

    def write(self, products: Sequence[Product], sites: Sequence[Site], core: CoreSpec) -> Code:
        """Write products whose kernels it owns, and steps; a TargetError if it cannot."""

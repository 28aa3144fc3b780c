"""The protocol of a backend: what writes the code of products and of steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edgeflow.codegen.costs import Cost
from edgeflow.codegen.kernels import MatvecKernel
from edgeflow.codegen.product import Product
from edgeflow.program import Program
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes import Node
from edgeflow.targets.board import CoreSpec

# In all of these, `own` stands before the names of kernels: "" or "NAME_".


class StepCode(Protocol):
    """A layer's step as ``model.c`` has it."""

    @property
    def scratch(self) -> int:
        """Number of int16 values that a step needs as working memory."""

    @property
    def scratch32(self) -> int:
        """Number of int32 values that a step needs besides."""

    def reads(self, field: str) -> bool:
        """Tell whether the step reads an array of the layer."""

    def declaration(self, own: str) -> str:
        """Return what has to stand before the call, after the layer's constants; or nothing."""

    def call(
        self, x: str, y: str, states: Mapping[str, str], scratch: tuple[str, str], own: str
    ) -> str:
        """Return the C statement of a step, given C expressions of its arrays."""


@dataclass(frozen=True)
class Code:
    """What a backend adds to a library.

    Parameters
    ----------
    steps : mapping
        The steps of layers, by name.
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
        """As of ``--backend``."""

    @property
    def per_shape(self) -> bool:
        """Whether each shape of a matrix adds code.

        Such kernels are chosen only where they were measured, and never for size.
        """

    def available(self, core: CoreSpec) -> bool:
        """Tell whether it can write for a core here."""

    def require(self, core: CoreSpec) -> None:
        """Raise a TargetError or a ToolMissingError unless it is `available`."""

    def kernel_sets(self, core: CoreSpec) -> tuple[str, ...]:
        """Return the kernel sets that a core has with it, in order of preference."""

    def costs(self, core: str) -> Mapping[str, Cost]:
        """Return what is known of its kernels on a core, by name.

        Raises
        ------
        TargetError
            If a file of costs is wrong.
        """

    def layers(
        self, program: Program, core: CoreSpec, optimize: str, alone: bool
    ) -> tuple[str, ...]:
        """Return the layers whose step it should write: all that it can if `alone`."""

    def owns(self, kernel: MatvecKernel) -> bool:
        """Tell whether a kernel is of this backend."""

    def matvec(self, product: Product, own: str) -> tuple[str, str]:
        """Return the C function of a product, and its definition if ``model.c`` has to have it."""

    def symbol(self, kernel: MatvecKernel, matrix: Matrix) -> str:
        """Return the symbol of the code that multiplies by a matrix."""

    def write(self, products: Sequence[Product], layers: Sequence[Node], core: CoreSpec) -> Code:
        """Write the products whose kernels it owns and the steps of layers.

        Raises
        ------
        TargetError
            If it does not know the core, or cannot translate a layer.
        """

"""The backend of ``firmware/kernels``: C and assembly that were written by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgeflow.codegen.backends.backend import Code
from edgeflow.codegen.c_text import c_struct
from edgeflow.codegen.costs import Cost, load_costs
from edgeflow.codegen.kernels import MatvecKernel
from edgeflow.codegen.product import Product
from edgeflow.program import Program
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes import Node
from edgeflow.targets.board import CoreSpec


@dataclass(frozen=True)
class OurStep:
    """The step of a layer by its ``c_function``; see `backend.StepCode`."""

    node: Node

    @property
    def scratch(self) -> int:
        return self.node.scratch

    @property
    def scratch32(self) -> int:
        return self.node.scratch32

    def reads(self, field: str) -> bool:
        return True

    def declaration(self, own: str) -> str:
        """Return the struct of the layer's parameters."""
        node = self.node
        if node.c_struct is None:
            return ""
        return c_struct(own + node.c_struct, f"{node.name}_cell", _members(node))

    def call(
        self, x: str, y: str, states: Mapping[str, str], scratch: tuple[str, str], own: str
    ) -> str:
        # without a function, the layer is a matrix that names its kernel
        return (own if self.node.c_function else "") + self.node.c_call(x, y, states, scratch)


def _members(node: Node) -> dict[str, str | int]:
    """Return the values of ``node.c_struct`` by its members; a null pointer needs none."""
    matrices = {field: f"&{node.name}_{field}" for field in node.matrices()}
    arrays = {field: f"{node.name}_{field}" for field in node.arrays()}
    return {**matrices, **arrays, **node.c_sizes, **node.ints()}


class Ours:
    """See `backend.Backend`: it takes every core and every layer."""

    name = "c"
    per_shape = False

    def available(self, core: CoreSpec) -> bool:
        return True

    def require(self, core: CoreSpec) -> None:
        """Do nothing."""

    def kernel_sets(self, core: CoreSpec) -> tuple[str, ...]:
        return core.kernels

    def costs(self, core: str) -> Mapping[str, Cost]:
        costs = load_costs(core)
        return costs.kernels if costs else {}

    def layers(
        self, program: Program, core: CoreSpec, optimize: str, alone: bool
    ) -> tuple[str, ...]:
        return tuple(node.name for node in program.nodes)

    def owns(self, kernel: MatvecKernel) -> bool:
        return not kernel.by_tvm

    def matvec(self, product: Product, own: str) -> tuple[str, str]:
        return own + product.kernel.name, ""

    def symbol(self, kernel: MatvecKernel, matrix: Matrix) -> str:
        return kernel.name

    def write(self, products: Sequence[Product], layers: Sequence[Node], core: CoreSpec) -> Code:
        functions = {product.kernel.name for product in products}
        functions |= {node.c_function for node in layers if node.c_function}
        functions |= {helper for node in layers for helper in node.c_helpers}
        return Code({node.name: OurStep(node) for node in layers}, frozenset(functions))

"""The backend of ``firmware/kernels``: C and assembly that were written by hand."""

from collections.abc import Mapping, Sequence

from edgeflow.codegen.backends.backend import Code, Product, Site, StepCode
from edgeflow.codegen.c_text import c_struct
from edgeflow.codegen.costs import Cost, load_costs
from edgeflow.codegen.kernels import MatvecKernel
from edgeflow.program import Program
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes import Node
from edgeflow.targets.board import CoreSpec


class Ours:
    """See `backend.Backend`: it takes every core and every layer."""

    name = "c"
    per_shape = False

    def unavailable(self, core: CoreSpec) -> None:
        return None

    def kernel_sets(self, core: CoreSpec) -> tuple[str, ...]:
        return core.kernels

    def owns(self, kernel: MatvecKernel) -> bool:
        return not kernel.by_tvm

    def costs(self, core: str) -> Mapping[str, Cost]:
        costs = load_costs(core)
        return costs.kernels if costs else {}

    def layers(self, program: Program, core: CoreSpec, goal: str, alone: bool) -> tuple[str, ...]:
        return tuple(node.name for node in program.nodes)

    def symbol(self, kernel: MatvecKernel, matrix: Matrix) -> str:
        return kernel.name

    def write(self, products: Sequence[Product], sites: Sequence[Site], core: CoreSpec) -> Code:
        nodes = [site.node for site in sites]
        functions = {product.kernel.name for product in products}
        functions |= {node.c_function for node in nodes if node.c_function}
        functions |= {helper for node in nodes for helper in node.c_helpers}
        return Code({site.node.name: _step(site) for site in sites}, frozenset(functions))


def _step(site: Site) -> StepCode:
    node = site.node
    call = node.c_call(site.x, site.y, site.states, site.scratch)
    return StepCode(
        # without a function, the layer is a matrix that names its kernel
        statement=f"@{call}" if node.c_function else call,
        declaration=_cell(node) if node.c_struct else "",
        arrays=tuple(node.arrays()),
        scratch=node.scratch,
        scratch32=node.scratch32,
    )


def _cell(node: Node) -> str:
    """Return the struct of the layer's parameters; a null pointer needs no initialiser."""
    matrices = {field: f"&{node.name}_{field}" for field in node.matrices()}
    arrays = {field: f"{node.name}_{field}" for field in node.arrays()}
    members: dict[str, str | int] = {**matrices, **arrays, **node.c_sizes, **node.ints()}
    return c_struct(f"@{node.c_struct}", f"{node.name}_cell", members)

"""Backends, writers of the code of products and steps; the one of ``firmware/kernels``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from edgeflow.codegen.c_text import c_struct
from edgeflow.codegen.costs import Cost, load_costs
from edgeflow.codegen.kernels import MatvecKernel
from edgeflow.codegen.layouts.layout import Packed
from edgeflow.errors import EdgeFlowError
from edgeflow.program import Program
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes import Node
from edgeflow.targets.core import CoreSpec


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
    scratch: ClassVar[tuple[str, str]] = ("model->scratch", "model->scratch32")


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
    """Steps, functions and files that a backend adds to a library.

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


class Backend:
    """The C and assembly of ``firmware/kernels``, for every core and layer; others override it.

    Attributes
    ----------
    name : str
        As ``--backend`` has it.
    per_shape : bool
        Whether each shape has a function of its own, of weights, x and y, which adds code. Such
        kernels are chosen only where they were measured, and never for size.
    """

    name: ClassVar[str] = "c"
    per_shape: ClassVar[bool] = False

    def unavailable(self, core: CoreSpec) -> EdgeFlowError | None:
        """Return why the backend cannot write for a core here, or None."""
        return None

    def kernel_sets(self, core: CoreSpec) -> tuple[str, ...]:
        """Return the backend's kernel sets for a core, in order of preference."""
        return core.kernels

    def owns(self, kernel: MatvecKernel) -> bool:
        """Tell whether a kernel is of this backend."""
        return not kernel.by_tvm

    def costs(self, core: str) -> Mapping[str, Cost]:
        """Return known costs of the kernels on a core; a TargetError if a file is wrong."""
        costs = load_costs(core)
        return costs.kernels if costs else {}

    def layers(self, program: Program, core: CoreSpec, goal: str, alone: bool) -> tuple[str, ...]:
        """Return the layers whose step the backend should write: all possible if `alone`."""
        return tuple(node.name for node in program.nodes)

    def symbol(self, kernel: MatvecKernel, matrix: Matrix) -> str:
        """Return the C function that multiplies by a matrix."""
        return kernel.name

    def write(self, products: Sequence[Product], sites: Sequence[Site], core: CoreSpec) -> Code:
        """Write products of the backend's kernels, and steps; a TargetError if it cannot."""
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

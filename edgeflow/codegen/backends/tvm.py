"""The backend TVM: kernels for one shape each, and steps from the ONNX function of a layer.

Only ``edgeflow.codegen.tvm`` imports TVM, which takes seconds; that happens when it writes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from edgeflow.codegen.backends.backend import Code
from edgeflow.codegen.costs import Cost
from edgeflow.codegen.kernels import MatvecKernel
from edgeflow.codegen.product import Product
from edgeflow.codegen.schedules import StepSaving, load_schedules
from edgeflow.errors import TargetError, ToolMissingError
from edgeflow.program import Program
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes import Node
from edgeflow.targets.board import CoreSpec


def tvm_installed() -> bool:
    """Tell whether TVM can be imported, without the seconds that takes."""
    return find_spec("tvm") is not None


def require_tvm() -> None:
    """Raise a ToolMissingError if TVM is not installed."""
    if not tvm_installed():
        raise ToolMissingError("TVM is not installed: pip install 'edgeflow[tvm]'")


@dataclass(frozen=True)
class TvmStep:
    """A layer's step as a function by TVM; see `backend.StepCode`.

    Parameters
    ----------
    layer, symbol : str
    arguments : tuple of (kind, name)
        Kinds: "matrix", "array", "table", "state", "x", "y", "scratch".
    c_types : tuple of str
        Of each argument.
    scratch_bytes : int
        Bytes of working memory.
    """

    layer: str
    symbol: str
    arguments: tuple[tuple[str, str], ...]
    c_types: tuple[str, ...]
    scratch_bytes: int

    @property
    def scratch(self) -> int:
        return -(-self.scratch_bytes // 2)

    @property
    def scratch32(self) -> int:
        return 0

    def reads(self, field: str) -> bool:
        return ("array", field) in self.arguments

    def declaration(self, own: str) -> str:
        """Return the function's prototype."""
        types = (kind.replace("ef_matrix", f"{own}ef_matrix") for kind in self.c_types)
        return f"void {own}{self.symbol}({', '.join(types)});"

    def call(
        self, x: str, y: str, states: Mapping[str, str], scratch: tuple[str, str], own: str
    ) -> str:
        given = {"x": x, "y": y, "scratch": scratch[0]}
        values = []
        for kind, name in self.arguments:
            constants = {"matrix": f"&{self.layer}_{name}", "array": f"{self.layer}_{name}"}
            constants |= {"table": f"{own}ef_table_{name}"}
            value = states[name] if kind == "state" else constants.get(kind) or given[kind]
            values.append(value)
        return f"{own}{self.symbol}({', '.join(values)});"


class Tvm:
    """See `backend.Backend`: it takes cores that its compiler knows."""

    name = "tvm"
    per_shape = True

    def available(self, core: CoreSpec) -> bool:
        return core.tvm is not None and tvm_installed()

    def require(self, core: CoreSpec) -> None:
        if core.tvm is None:
            raise TargetError(f"{core.name}: TVM does not know this core: use --backend c")
        require_tvm()

    def kernel_sets(self, core: CoreSpec) -> tuple[str, ...]:
        return core.tvm.kernels if core.tvm else ()

    def costs(self, core: str) -> Mapping[str, Cost]:
        known = load_schedules(core)
        return known.costs if known else {}

    def layers(
        self, program: Program, core: CoreSpec, optimize: str, alone: bool
    ) -> tuple[str, ...]:
        """Return all with a step if alone, else those that were measured to cost less.

        Those grow the code, so there are none for size.
        """
        layers = [node for node in program.nodes if node.c_function]
        if alone:
            return tuple(node.name for node in layers)
        known = load_schedules(core.name)
        if known is None or optimize == "size":
            return ()
        return tuple(node.name for node in layers if _saves(known.steps.get(node.op_type), node))

    def owns(self, kernel: MatvecKernel) -> bool:
        return kernel.by_tvm

    def matvec(self, product: Product, own: str) -> tuple[str, str]:
        """Return a function that takes an ef_matrix and calls the one for its shape."""
        function = f"{product.name}_matvec"
        symbol = own + self.symbol(product.kernel, product.matrix)
        return function, (
            f"void {symbol}(const void *weights, const int16_t *x, int16_t *y);\n"
            f"static void {function}(const {own}ef_matrix *matrix, const int16_t *x, int16_t *y) {{"
            f"\n    {symbol}(matrix->weights, x, y);\n}}"
        )

    def symbol(self, kernel: MatvecKernel, matrix: Matrix) -> str:
        return kernel.body(matrix).symbol

    def write(self, products: Sequence[Product], layers: Sequence[Node], core: CoreSpec) -> Code:
        if not products and not layers:
            return Code()
        from edgeflow.codegen.tvm.library import tvm_code

        return tvm_code([p.kernel.body(p.matrix) for p in products], layers, core)


def _saves(saving: StepSaving | None, node: Node) -> bool:
    return saving is not None and saving.instructions(node.outputs) > 0

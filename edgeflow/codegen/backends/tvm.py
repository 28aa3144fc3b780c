"""The backend TVM: kernels for one shape each, and steps from the ONNX function of a layer.

Only ``edgeflow.codegen.tvm`` imports TVM, which takes seconds; that happens when it writes.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from edgeflow.codegen.backends.backend import Backend, Code, Product, Site, StepCode
from edgeflow.codegen.costs import Cost
from edgeflow.codegen.kernels import MatvecKernel
from edgeflow.codegen.schedules import load_schedules
from edgeflow.errors import EdgeFlowError, TargetError, ToolMissingError
from edgeflow.program import Program
from edgeflow.program.matrix import Matrix
from edgeflow.targets.core import CoreSpec

if TYPE_CHECKING:
    from edgeflow.codegen.tvm.step import Step


def require_tvm() -> None:
    """Raise a ToolMissingError if TVM is not installed."""
    if find_spec("tvm") is None:
        raise ToolMissingError("TVM is not installed: pip install 'edgeflow[tvm]'")


class Tvm(Backend):
    """Code by TVM, for cores that its compiler knows and layers that have a step."""

    name = "tvm"
    per_shape = True

    def unavailable(self, core: CoreSpec) -> EdgeFlowError | None:
        if core.tvm is None:
            return TargetError(f"{core.name}: TVM does not know this core: use --backend c")
        try:
            require_tvm()
        except ToolMissingError as error:
            return error
        return None

    def kernel_sets(self, core: CoreSpec) -> tuple[str, ...]:
        return core.tvm.kernels if core.tvm else ()

    def owns(self, kernel: MatvecKernel) -> bool:
        return kernel.by_tvm

    def costs(self, core: str) -> Mapping[str, Cost]:
        known = load_schedules(core)
        return known.costs if known else {}

    def layers(self, program: Program, core: CoreSpec, goal: str, alone: bool) -> tuple[str, ...]:
        """Return all layers with a step if alone, else those that were measured to cost less.

        Steps by TVM grow the code, so there are none for size.
        """
        nodes = [node for node in program.nodes if node.c_function and not node.kernel_only]
        if not alone:
            known = load_schedules(core.name)
            saved = known.steps if known is not None and goal != "size" else {}
            nodes = [n for n in nodes if n.op_type in saved]
            nodes = [n for n in nodes if saved[n.op_type].instructions(n.outputs) > 0]
        return tuple(node.name for node in nodes)

    def symbol(self, kernel: MatvecKernel, matrix: Matrix) -> str:
        return f"{kernel.name}_{matrix.rows}x{matrix.cols}_{matrix.shift}"

    def write(self, products: Sequence[Product], sites: Sequence[Site], core: CoreSpec) -> Code:
        if not products and not sites:
            return Code()
        if core.tvm is None:
            raise TargetError(f"{core.name}: TVM does not know this core: use --backend c")
        from edgeflow.codegen.tvm.library import tvm_library

        symbols = {f"ef_tvm_{site.node.name}_step": site for site in sites}
        name, text, steps = tvm_library(
            {self.symbol(p.kernel, p.matrix): (p.kernel.name, p.matrix) for p in products},
            {symbol: site.node for symbol, site in symbols.items()},
            core,
        )
        return Code(
            {site.node.name: _step(site, s, steps[s]) for s, site in symbols.items()},
            frozenset({"ef_apply"} if steps else ()),
            {name: text},
        )


def _step(site: Site, symbol: str, step: "Step") -> StepCode:
    layer = site.node.name

    def argument(kind: str, name: str) -> str:
        if kind == "state":
            return site.states[name]
        named = {"matrix": f"&{layer}_{name}", "array": f"{layer}_{name}"}
        named |= {"x": site.x, "y": site.y, "scratch": site.scratch[0]}
        return named.get(kind) or f"@ef_table_{name}"

    types = ", ".join(step.c_types).replace("ef_matrix", "@ef_matrix")
    arguments = ", ".join(argument(kind, name) for kind, name in step.arguments)
    return StepCode(
        statement=f"@{symbol}({arguments});",
        declaration=f"void @{symbol}({types});",
        arrays=tuple(name for kind, name in step.arguments if kind == "array"),
        scratch=-(-step.scratch // 2),
    )

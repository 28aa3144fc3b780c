"""TVM's part of a C library: one file with the bodies of kernels and the steps of layers."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from edgeflow.codegen.kernels import TvmBody
from edgeflow.codegen.schedules import schedule
from edgeflow.codegen.tvm.emit import source
from edgeflow.codegen.tvm.matvec import MATVECS, matvec
from edgeflow.codegen.tvm.step import step_function
from edgeflow.codegen.tvm_code import StepCode, TvmCode
from edgeflow.errors import TargetError
from edgeflow.program.nodes import Node
from edgeflow.targets.board import CoreSpec


def tvm_code(bodies: Iterable[TvmBody], layers: Iterable[Node], core: CoreSpec) -> TvmCode:
    """Let TVM write kernels and steps.

    Parameters
    ----------
    bodies : iterable of TvmBody
    layers : iterable of Node
        Those whose step TVM writes.
    core : CoreSpec

    Raises
    ------
    TargetError
        If TVM does not know the core, or cannot translate a layer.
    """
    if core.tvm is None:
        raise TargetError(f"{core.name}: TVM does not know this core: use --backend c")
    # TVM's parser asks for the source line of every caller: a thread of its own has few
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_write, sorted(set(bodies)), list(layers), core).result()


def _write(bodies: Sequence[TvmBody], layers: Sequence[Node], core: CoreSpec) -> TvmCode:
    assert core.tvm is not None
    functions = [
        matvec(b.symbol, MATVECS[b.kernel](schedule(core, b.kernel)), b.rows, b.cols, b.shift)
        for b in bodies
    ]
    steps = {}
    for node in layers:
        symbol = f"ef_tvm_{node.name}_step"
        step = step_function(node, symbol)
        functions.append(step.function)
        steps[node.name] = StepCode(node.name, symbol, step.arguments, step.c_types, step.scratch)
    text, suffix = source(functions, core.tvm.target)
    return TvmCode(f"ef_tvm{suffix}", text, steps)

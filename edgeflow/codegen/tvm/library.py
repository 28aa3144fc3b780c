"""TVM's part of a C library: one file with the bodies of kernels and the steps of layers."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from edgeflow.codegen.schedules import schedule
from edgeflow.codegen.tvm.emit import source
from edgeflow.codegen.tvm.matvec import MATVECS, matvec
from edgeflow.codegen.tvm.step import Step, step_function
from edgeflow.program.matrix import Matrix
from edgeflow.program.nodes import Node
from edgeflow.targets.core import CoreSpec


def tvm_library(
    products: Mapping[str, tuple[str, Matrix]], layers: Mapping[str, Node], core: CoreSpec
) -> tuple[str, str, dict[str, Step]]:
    """Let TVM write kernels and steps.

    Parameters
    ----------
    products : mapping
        Kernel and matrix, one of each shape, by the symbol that it gets.
    layers : mapping
        Those whose step TVM writes, by the symbol that it gets.
    core : CoreSpec
        One that TVM knows.

    Returns
    -------
    str, str, dict of Step
        Name and text of the source, and the steps by symbol.

    Raises
    ------
    TargetError
        If TVM cannot translate a layer.
    """
    # TVM's parser asks for the source line of every caller: a thread of its own has few
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_write, products, layers, core).result()


def _write(
    products: Mapping[str, tuple[str, Matrix]], layers: Mapping[str, Node], core: CoreSpec
) -> tuple[str, str, dict[str, Step]]:
    assert core.tvm is not None
    shapes = sorted(
        (kernel, matrix.rows, matrix.cols, matrix.shift, symbol)
        for symbol, (kernel, matrix) in products.items()
    )
    functions = [
        matvec(symbol, MATVECS[kernel](schedule(core, kernel)), *shape)
        for kernel, *shape, symbol in shapes
    ]
    steps = {symbol: step_function(node, symbol) for symbol, node in layers.items()}
    functions += [step.function for step in steps.values()]
    text, suffix = source(functions, core.tvm.target)
    return f"ef_tvm{suffix}", text, steps

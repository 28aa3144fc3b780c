"""Who makes the code of a step: our C and assembly, TVM, or whichever is cheaper."""

from importlib.util import find_spec

from edgeflow.codegen.schedules import StepSaving, load_schedules
from edgeflow.errors import TargetError, ToolMissingError
from edgeflow.program import Program
from edgeflow.program.nodes import Node
from edgeflow.targets.board import BoardSpec, CoreSpec

#: auto: for each kernel the cheaper of both, where TVM is installed. c: what is in ``firmware``.
#: tvm: matrix products and steps by TVM.
BACKENDS = ("auto", "c", "tvm")


def with_backend(board: BoardSpec, backend: str) -> BoardSpec:
    """Return the board with the kernel sets that its core has with a backend."""
    return board.model_copy(update={"core": core_with_backend(board.core, backend)})


def core_with_backend(core: CoreSpec, backend: str) -> CoreSpec:
    """Return the core with the kernel sets of a backend.

    Raises
    ------
    TargetError
        If there is no such backend, or TVM does not know the core.
    ToolMissingError
        If ``tvm`` is asked for and not installed.
    """
    if backend not in BACKENDS:
        raise TargetError(f"--backend {backend}: there are {', '.join(BACKENDS)}")
    if backend == "c" or (backend == "auto" and (core.tvm is None or not tvm_installed())):
        return core
    if core.tvm is None:
        raise TargetError(f"{core.name}: TVM does not know this core: use --backend c")
    require_tvm()
    sets = (*core.kernels, *core.tvm.kernels) if backend == "auto" else core.tvm.kernels
    return core.model_copy(update={"kernels": sets})


def tvm_installed() -> bool:
    """Tell whether TVM can be imported, without the seconds that takes."""
    return find_spec("tvm") is not None


def require_tvm() -> None:
    """Raise a ToolMissingError if TVM is not installed."""
    if not tvm_installed():
        raise ToolMissingError("TVM is not installed: pip install 'edgeflow[tvm]'")


def layers_by_tvm(
    program: Program, core: CoreSpec, backend: str, optimize: str = "balanced"
) -> tuple[str, ...]:
    """Return the layers whose step TVM writes.

    ``auto`` takes TVM's where it was measured to cost less, and code size is no matter.

    Parameters
    ----------
    program : Program
    core : CoreSpec
    backend : str
    optimize : str
        As in :func:`edgeflow.codegen.choice.choose_kernels`.
    """
    layers = [node for node in program.nodes if node.c_function]
    if backend == "tvm":
        return tuple(node.name for node in layers)
    known = load_schedules(core.name)
    if backend == "c" or known is None or optimize == "size" or not tvm_installed():
        return ()
    return tuple(node.name for node in layers if _saves(known.steps.get(node.op_type), node))


def _saves(saving: StepSaving | None, node: Node) -> bool:
    return saving is not None and saving.instructions(node.outputs) > 0

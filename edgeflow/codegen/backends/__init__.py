"""The backends, and those that ``--backend`` stands for."""

from collections.abc import Mapping

from edgeflow.codegen.backends.backend import Backend
from edgeflow.codegen.backends.tvm import Tvm
from edgeflow.codegen.costs import Cost
from edgeflow.codegen.kernels import MatvecKernel
from edgeflow.errors import TargetError
from edgeflow.targets.core import CoreSpec

#: In order of preference where costs are unknown. Ours writes what no other does.
OURS, TVM = Backend(), Tvm()
ALL = (OURS, TVM)
#: auto: for each kernel and step the cheapest of all backends that are available.
BACKENDS = ("auto", *(backend.name for backend in ALL))


def backends_of(core: CoreSpec, backend: str) -> tuple[Backend, ...]:
    """Return the backends that a name of `BACKENDS` stands for on a core.

    Raises
    ------
    TargetError
        If there is no such backend, or it does not know the core.
    ToolMissingError
        If it is not installed.
    """
    if backend not in BACKENDS:
        raise TargetError(f"--backend {backend}: there are {', '.join(BACKENDS)}")
    if backend == "auto":
        return tuple(each for each in ALL if each.unavailable(core) is None)
    (chosen,) = (each for each in ALL if each.name == backend)
    if error := chosen.unavailable(core):
        raise error
    return (chosen,)


def kernel_sets(core: CoreSpec, backend: str) -> tuple[str, ...]:
    """Return the kernel sets of a core, the preferred ones first; errors as in `backends_of`."""
    return tuple(name for each in backends_of(core, backend) for name in each.kernel_sets(core))


def owner(kernel: MatvecKernel) -> Backend:
    """Return the backend of a kernel."""
    return next(backend for backend in ALL if backend.owns(kernel))


def known_costs(core: str) -> Mapping[str, Cost]:
    """Return the known costs of a core's kernels, by name; a TargetError if a file is wrong."""
    return {name: cost for each in ALL for name, cost in each.costs(core).items()}

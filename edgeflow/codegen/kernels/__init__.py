"""Matvec kernels: the registry of all kernel sets.

A module in ``sets`` is a kernel set: its name is the set's, its docstring says what a core must
offer, and its ``KERNELS`` are descriptors in the order of preference, which holds where costs were
not measured (``edgeflow.codegen.choice``). Modules in the folders of ``EDGEFLOW_KERNELS`` add
kernels behind those of a set, or a set.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from edgeflow.codegen.kernels import sets
from edgeflow.codegen.kernels.kernel import MatvecKernel
from edgeflow.discovery import modules_of
from edgeflow.errors import TargetError
from edgeflow.program.matrix import Matrix
from edgeflow.resources import kernel_folders


def _modules() -> Iterator[tuple[str, ModuleType]]:
    """Give name and module of each kernel set, those of ``EDGEFLOW_KERNELS`` last."""
    for module in modules_of(sets.__path__, sets.__name__):
        yield module.__name__.rpartition(".")[2], module
    for folder in kernel_folders()[1:]:
        for path in sorted(folder.glob("*.py")):
            yield path.stem, _load(path)


def _load(path: Path) -> ModuleType:
    spec = spec_from_file_location(f"{sets.__name__}.{path.stem} in {path.parent}", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise TargetError(f"{path}: {type(error).__name__}: {error}") from error
    if not hasattr(module, "KERNELS"):
        raise TargetError(f"{path}: has no list KERNELS")
    return module


#: The kernels of each set, in order of preference. A set may prefer kernels of another one.
KERNEL_SETS: dict[str, tuple[MatvecKernel, ...]] = {}
#: Features that a core must have for each set.
KERNEL_ABOUT: dict[str, str] = {}
#: Sets of which code reads or writes words at odd halfwords: ``UNALIGNED`` in the set's module.
UNALIGNED_SETS: set[str] = set()
for _name, _module in _modules():
    _kernels = [k if k.kernel_set else replace(k, kernel_set=_name) for k in _module.KERNELS]
    KERNEL_SETS[_name] = (*KERNEL_SETS.get(_name, ()), *_kernels)
    KERNEL_ABOUT.setdefault(_name, (_module.__doc__ or _name).partition("\n")[0].rstrip("."))
    if getattr(_module, "UNALIGNED", False):
        UNALIGNED_SETS.add(_name)

#: All kernels, set by set.
MATVEC_KERNELS = tuple(k for name in KERNEL_SETS for k in KERNEL_SETS[name] if k.kernel_set == name)


def kernel_named(name: str) -> MatvecKernel:
    """Return a kernel of `MATVEC_KERNELS`."""
    return next(kernel for kernel in MATVEC_KERNELS if kernel.name == name)


def kernels_of(names: Iterable[str]) -> list[MatvecKernel]:
    """Return the kernels of sets, or of that name, in order of preference, each once."""
    by_name = {kernel.name: (kernel,) for kernel in MATVEC_KERNELS}
    chosen = (kernel for name in names for kernel in (KERNEL_SETS | by_name).get(name, ()))
    return list({kernel.name: kernel for kernel in chosen}.values())


def choose_kernel(matrix: Matrix, kernel_sets: Sequence[str]) -> MatvecKernel:
    """Return the first kernel of the preferred sets that is exact on `matrix`.

    Parameters
    ----------
    matrix : Matrix
    kernel_sets : sequence of str
        In order of preference, as in the core's file; or names of kernels.

    Raises
    ------
    TargetError
        If there is none.
    """
    for kernel in kernels_of(kernel_sets):
        if kernel.is_exact_for(matrix):
            return kernel
    known = [*KERNEL_SETS, *(kernel.name for kernel in MATVEC_KERNELS)]
    raise TargetError(
        f"no kernel among '{', '.join(kernel_sets)}' takes a {matrix.rows} x {matrix.cols} matrix "
        f"of {matrix.input_bits}-bit values; there are {', '.join(known)}"
    )

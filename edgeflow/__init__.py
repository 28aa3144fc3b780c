"""EdgeFlow: a trained PyTorch recurrent model becomes a small, fast, measured firmware image.

The pipeline in Python: ``edgeflow.compress(module, calibration) -> Program``,
``edgeflow.compile(program, board, directory) -> Build``, ``edgeflow.profile(build, dataset)``;
``edgeflow.export(program, to)`` leaves for other tools.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("edgeflow")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

# Found on first use: torch and onnx take seconds to import.
_LAZY = {
    "Build": ("edgeflow.codegen.build", "Build"),
    "Program": ("edgeflow.program", "Program"),
    "compress": ("edgeflow.api", "compress"),
    "export": ("edgeflow.exporting", "export"),
    "profile": ("edgeflow.profiling.run", "profile"),
    "compile": ("edgeflow.codegen.build", "compile_program"),
    "load_dataset": ("edgeflow.data", "load_dataset"),
}

__all__ = [
    "Build", "Program", "__version__", "compile", "compress", "export", "load_dataset", "profile",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        module, attribute = _LAZY[name]
        return getattr(import_module(module), attribute)
    raise AttributeError(f"module 'edgeflow' has no attribute '{name}'")

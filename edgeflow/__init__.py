"""EdgeFlow: a trained PyTorch recurrent model becomes a small, fast, measured firmware image.

The pipeline in Python, the same as the commands of the same names::

    import edgeflow as ef

    data = ef.load_dataset("seglearn-watch")
    trained = ef.train(data, "gru", out="runs/gru")    # or a torch module of your own
    program = ef.compress(trained, data)               # integers; program.predict(x)
    build = ef.compile(program, "qemu-m4")             # a C library and an image; build.predict(x)
    result = ef.profile(build, data)                   # accuracy, mismatches, latency, memory
    ef.export(program, "cmake")                        # for other tools

``ef.load`` reads a program, ``ef.boards`` lists the boards, ``ef.imc.simulate`` runs a program on
analog chips. Whatever the user can do something about is an `edgeflow.errors.EdgeFlowError` with
one line that says what.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeflow import imc as imc
    from edgeflow.api import boards, compile, compress, export, load, profile, train
    from edgeflow.codegen.build import Build
    from edgeflow.data import Dataset, load_dataset
    from edgeflow.profiling.result import ProfileResult
    from edgeflow.program import Program
    from edgeflow.quantization import Widths
    from edgeflow.recipes.recipe import Recipe
    from edgeflow.training.loop import TrainResult

try:
    __version__ = version("edgeflow")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

__all__ = [
    "Build",
    "Dataset",
    "ProfileResult",
    "Program",
    "Recipe",
    "TrainResult",
    "Widths",
    "__version__",
    "boards",
    "compile",
    "compress",
    "export",
    "imc",
    "load",
    "load_dataset",
    "profile",
    "train",
]

# Found on first use, as torch and onnx take seconds to import. All others are in edgeflow.api.
_MODULES = {
    "Build": "edgeflow.codegen.build",
    "Dataset": "edgeflow.data",
    "ProfileResult": "edgeflow.profiling.result",
    "Program": "edgeflow.program",
    "Recipe": "edgeflow.recipes.recipe",
    "TrainResult": "edgeflow.training.loop",
    "Widths": "edgeflow.quantization",
    "load_dataset": "edgeflow.data",
}

if not TYPE_CHECKING:  # a type checker would take any name for something untyped

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'edgeflow' has no attribute '{name}'")
        if name == "imc":  # a package
            return import_module("edgeflow.imc")
        value = getattr(import_module(_MODULES.get(name, "edgeflow.api")), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})

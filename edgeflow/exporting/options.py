"""Options of exports; each format reads the fields that its entry in FORMATS names."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeflow.data import Dataset


@dataclass(frozen=True)
class Options:
    """Options of an export.

    Parameters
    ----------
    to : str
        The format: a key of ``edgeflow.exporting.FORMATS``.
    name : str
        Of the library; its functions and macros begin with it.
    core : str
        A core of ``targets/cores`` whose kernels the library has; ``c``: C that runs anywhere.
    optimize : str
        Goal of the choice of kernels (``edgeflow.codegen.choice.GOALS``).
    backend : str
        Whose code it is: "c", "tvm" or "auto" (``edgeflow.codegen.backends.BACKENDS``).
    data : Dataset or None
        Real recordings, for what an export shows or measures on them.
    activations : str
        Of a .tflite file: "int16" or "int8".
    inline : bool
        ONNX: standard operators only, no local functions.
    raw : bool
        ONNX: reads raw samples, and gives scores and the class.
    """

    to: str
    name: str = "model"
    core: str = "c"
    optimize: str = "balanced"
    backend: str = "c"
    data: "Dataset | None" = None
    activations: str = "int16"
    inline: bool = False
    raw: bool = False

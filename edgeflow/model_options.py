"""Options that say how a model from elsewhere is read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from edgeflow.schema import IMPORT, Option


@dataclass(frozen=True)
class ModelOptions:
    """How the MODEL argument is read, where it does not say so itself.

    Parameters
    ----------
    checkpoint : Path, optional
        Weights of mymodel.py:Net: a file of torch.save, or .safetensors.
    untrained : bool
        Take mymodel.py:Net with random weights, to look at its cost.
    nir_reset : str, optional
        How spikes reset the neurons of a .nir file: subtract, zero, refractory, nir.
    nir_dt : float, optional
        Seconds per step of a .nir file.
    """

    panel = IMPORT
    checkpoint: Annotated[Path | None, Option("--checkpoint")] = None
    untrained: Annotated[bool, Option("--untrained")] = False
    nir_reset: Annotated[str | None, Option("--nir-reset")] = None
    nir_dt: Annotated[float | None, Option("--nir-dt")] = None


#: A model is read as it says itself.
NONE_GIVEN = ModelOptions()

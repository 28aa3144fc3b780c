"""Random resistive memory: conductances that nobody programs, from ``calibration/imc-reservoir``.

A pulse breaks a cell's dielectric down or does not, by chance, and what is left conducts by chance.
S. Wang et al., Nature Machine Intelligence 5, 104 (2023); N. Lin et al., arXiv 2307.00771.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from edgeflow.calibration import Data
from edgeflow.imc.device import Positive, Share, Text
from edgeflow.imc.named import load_named, names_in


class Breakdown(Data):
    """Cells after one pulse: the content of ``calibration/imc-reservoir/<name>.toml``.

    Attributes
    ----------
    name, about
        A name for ``--device``, and a line on what it is.
    median
        Conductance of cells that broke down, in µS: it is lognormal.
    sigma
        Standard deviation of its natural logarithm.
    intact
        Share of cells that did not break down.
    pristine
        Their conductance, in µS.
    read
        Standard deviation of a reading, a share of the conductance; each reading has its own.
    sources
        Where the numbers are from.
    unverified
        Fields whose numbers no source states, as ``field: why``.
    """

    name: Text
    about: Text
    median: Positive
    sigma: Annotated[float, Field(ge=0, le=10)]
    intact: Share
    pristine: Annotated[float, Field(ge=0, le=1e6)]
    read: Annotated[float, Field(ge=0, le=1)]
    sources: Annotated[list[Text], Field(min_length=1)]
    unverified: list[Text] = Field([])

    @model_validator(mode="after")
    def _random(self) -> "Breakdown":
        if self.sigma == 0 and self.intact in (0, 1):
            raise ValueError("all cells are equal: sigma is 0, and none or all of them are intact")
        return self

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
        """Return the conductances of new cells, in µS."""
        broken = self.median * np.exp(self.sigma * rng.standard_normal(shape))
        return np.where(rng.random(shape) < self.intact, self.pristine, broken)


def breakdown_names() -> list[str]:
    """Return the names of the random memories that come with EdgeFlow."""
    return names_in("imc-reservoir")


def load_breakdown(name: str | Path) -> Breakdown:
    """Return a random memory.

    Parameters
    ----------
    name : str or path
        One of `breakdown_names`, or a .toml file of one's own.

    Raises
    ------
    ImcError
        If there is none, or a value in its file is wrong.

    Examples
    --------
    >>> load_breakdown("random-rram").intact
    0.507
    """
    return load_named(Breakdown, "random memory", "imc-reservoir", name)

"""Real values of a model's outputs, which training normalises."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import ProgramError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class OutputFormat:
    """Meaning of outputs: row i of them is ``offset[i] + scale[i] * output[i]`` in ``units[i]``.

    Parameters
    ----------
    offset, scale : tuple of float [size]
        Finite, and rounded to float32, in which a board computes; scale > 0.
    units : tuple of str [size]
        "" where it is not known.

    Raises
    ------
    ProgramError
        If a number is none of those, or the rows differ in number.
    """

    offset: tuple[float, ...]
    scale: tuple[float, ...]
    units: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("offset", "scale"):
            values = np.asarray(getattr(self, name), np.float32)
            if values.shape != (len(self.units),) or not np.isfinite(values).all():
                raise ProgramError(f"output {name} must be {len(self.units)} finite numbers")
            object.__setattr__(self, name, tuple(values.tolist()))
        if min(self.scale, default=1.0) <= np.finfo(np.float32).tiny:
            raise ProgramError("output scale must be positive")
        if not all(isinstance(unit, str) for unit in self.units):
            raise ProgramError("output units must be texts")

    @staticmethod
    def of(targets: NDArray[Any], units: tuple[str, ...]) -> "OutputFormat":
        """Return that of mean 0 and deviation 1 over targets [n, size]."""
        wide = targets.reshape(len(targets), len(units)).astype(np.float64)
        scale = wide.std(axis=0)
        # of a constant target rounding leaves a little deviation
        least = 1e-6 * np.maximum(np.abs(wide).max(axis=0), 1e-6)
        scale = np.where(scale > least, scale, 1.0)
        return OutputFormat(tuple(wide.mean(axis=0).tolist()), tuple(scale.tolist()), units)

    def times(self, unit: float) -> "OutputFormat":
        """Return that of integer outputs, one of which is worth `unit`."""
        return OutputFormat(self.offset, tuple(unit * one for one in self.scale), self.units)

    def real(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """Return real values of outputs [..., size]."""
        return np.asarray(self.offset) + np.asarray(self.scale) * outputs.astype(np.float64)

    def normal(self, targets: "Tensor") -> "Tensor":
        """Return the outputs that mean real values [n], [..., size]."""
        import torch

        wide = targets.reshape(-1, 1) if targets.ndim == 1 else targets
        return (wide - torch.tensor(self.offset)) / torch.tensor(self.scale)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, from which `from_json` makes it."""
        return {"offset": [*self.offset], "scale": [*self.scale], "units": [*self.units]}

    @staticmethod
    def from_json(content: Any) -> "OutputFormat":
        """Return what `to_json` described.

        Raises
        ------
        ProgramError
            If it is something else.
        """
        try:
            offset, scale, units = (tuple(content[key]) for key in ("offset", "scale", "units"))
            return OutputFormat(offset, scale, units)
        except (TypeError, KeyError, ValueError):
            raise ProgramError("the output's format needs offset, scale and units") from None


#: What outputs are worth: a value of one unit of all of them, or a format.
Scale = float | OutputFormat


def scale_by(form: OutputFormat | None, unit: float) -> Scale:
    """Return the scale of integer outputs, one of which is worth `unit` of what `form` reads."""
    return unit if form is None else form.times(unit)


def real_values(outputs: NDArray[Any], scale: Scale = 1.0) -> NDArray[np.float64]:
    """Return real values of outputs [..., size]."""
    if isinstance(scale, OutputFormat):
        return scale.real(outputs)
    return outputs.astype(np.float64) * scale

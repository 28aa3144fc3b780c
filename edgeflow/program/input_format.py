"""Raw samples as integers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeflow.errors import ProgramError
from edgeflow.names import same_name
from edgeflow.program.fixedpoint import symmetric_max
from edgeflow.program.show import name_list
from edgeflow.samples import as_float32


@dataclass(frozen=True, eq=False, repr=False)
class InputFormat:
    """Encoding of raw samples as integers: ``x_int = round((x - offset) / scale)``, clipped.

    Parameters
    ----------
    offset, scale : float32 array [channels]
        In the data set's units; scale > 0.
    bits : int
        Width of the integers, 2..16, symmetric.
    channels : tuple of str
        Names, in order.
    """

    offset: NDArray[np.float32]
    scale: NDArray[np.float32]
    bits: int
    channels: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.channels)
        for name in ("offset", "scale"):
            array = getattr(self, name)
            if array.shape != (n,) or array.dtype != np.float32 or not np.isfinite(array).all():
                raise ProgramError(f"input {name} must be {n} finite float32 values")
        if (self.scale <= np.finfo(np.float32).tiny).any():
            raise ProgramError("input scale must be positive, and its reciprocal finite")
        if (twice := same_name(self.channels)) is not None:
            raise ProgramError(f"two channels have the name '{twice}': rename one")
        if not 2 <= self.bits <= 16:
            raise ProgramError(f"input width {self.bits} is not in 2..16 bits")

    def __repr__(self) -> str:
        return f"InputFormat({name_list(self.channels)}; {self.bits} bits)"

    def quantize(self, x: ArrayLike) -> NDArray[np.int16]:
        """Return int16 for float x [..., channels]; half rounds away from zero, NaN becomes 0.

        Raises
        ------
        ProgramError
            If x is not numbers, or has another number of channels.
        """
        n = len(self.channels)
        expected = f"[..., {n}] ({name_list(self.channels)})"
        raw = as_float32(x, f"samples {expected}")
        if raw.ndim == 0 or raw.shape[-1] != n:
            raise ProgramError(f"samples must be {expected}, not {list(raw.shape)}")
        scaled = (raw - self.offset) * (np.float32(1) / self.scale)
        limit = symmetric_max(self.bits)
        clipped = np.clip(np.nan_to_num(scaled), -limit, limit)
        return np.trunc(clipped + np.copysign(np.float32(0.5), clipped)).astype(np.int16)

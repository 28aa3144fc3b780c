"""Bands of sound as other voices and microphones would bring them: a method of training."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from edgeflow.cells.front_sound import LogMel
from edgeflow.errors import TrainError
from edgeflow.training.method import Method


class BandAugmentation(Method):
    """Change log-mel energies behind the front ends, anew for each stretch of a recording.

    Warping moves the bands as a longer or shorter vocal tract does: N. Jaitly, G. E. Hinton,
    "Vocal tract length perturbation (VTLP) improves speech recognition", ICML workshop 2013.

    Parameters
    ----------
    warp : float
        Standard deviation of the logarithm of the factor by which band numbers are stretched.
    scale : float
        Standard deviation of the logarithm of each value's gain, about its mean in training.

    Raises
    ------
    TrainError
        If a value is negative; in `prepare`, if the model's first front end is not log-mel.
    """

    def __init__(self, warp: float = 0.0, scale: float = 0.0) -> None:
        if not (0 <= warp <= 1 and 0 <= scale <= 2):
            raise TrainError(f"bands warped by {warp:g} and scaled by {scale:g}: 0 to 1, 0 to 2")
        self.warp, self.scale = warp, scale

    def describe(self) -> dict[str, Any]:
        return {"method": "bands", "warp": self.warp, "scale": self.scale}

    def prepare(self, model: Any) -> None:
        front = getattr(model, "front", None)
        if not front or not isinstance(front[0], LogMel):
            raise TrainError("--band-warp and --band-scale are for sound: use --front log-mel")
        if front[-1].outputs % front[0].outputs:
            raise TrainError(
                f"--band-warp: the front ends give {front[-1].outputs} values, no whole number of "
                f"sets of {front[0].outputs} bands"
            )

    @contextmanager
    def during_step(self, model: Any) -> Iterator[None]:
        bands = model.front[0].outputs

        def changed(_: Any, __: Any, output: tuple[Tensor, Any]) -> tuple[Tensor, Any]:
            y, state = output
            return self.change(y, bands), state

        handle = model.front[-1].register_forward_hook(changed)
        try:
            yield
        finally:
            handle.remove()

    def change(self, y: Tensor, bands: int) -> Tensor:
        """Return changed values y [n, time, sets * bands]."""
        n, time, values = y.shape
        if self.warp:
            factor = torch.exp(self.warp * torch.randn(n, 1))
            position = (torch.arange(bands) * factor).clamp(max=bands - 1)
            below = position.floor().long()
            above = (below + 1).clamp(max=bands - 1)
            share = (position - below)[:, None, None]
            sets = y.view(n, time, values // bands, bands)

            def taken(index: Tensor) -> Tensor:
                return torch.gather(sets, 3, index[:, None, None].expand_as(sets))

            y = ((1 - share) * taken(below) + share * taken(above)).view(n, time, values)
        if self.scale:
            y = y * torch.exp(self.scale * torch.randn(n, 1, values))
        return y

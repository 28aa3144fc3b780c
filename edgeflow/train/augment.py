"""Small changes of training windows that another wrist, strap or sensor would bring."""

import math

import numpy as np
import torch
from torch import Tensor


def axis_triples(channels: list[str]) -> list[int]:
    """Return where x, y, z of one sensor stand side by side, by the channels' last letters."""
    found, i = [], 0
    while i + 2 < len(channels):
        names = channels[i : i + 3]
        if [n[-1:].lower() for n in names] == ["x", "y", "z"] and len({n[:-1] for n in names}) == 1:
            found.append(i)
            i += 3
        else:
            i += 1
    return found


def augment(
    x: Tensor, triples: list[int], std: Tensor, *, rotate: float, scale: float, noise: float
) -> Tensor:
    """Return a changed copy of windows x [n, time, channels], in the same units.

    Parameters
    ----------
    triples : list of int
        First channel of each sensor with three axes; all turn together.
    std : Tensor [channels]
        The noise's unit.
    rotate : float
        Standard deviation of the angle about a random axis, in degrees.
    scale : float
        Standard deviation of the logarithm of the gain of each window and sensor.
    noise : float
        Standard deviation of the added noise, in units of `std`.
    """
    x = x.clone()
    n = len(x)
    if rotate and triples:
        turn = rotations(n, math.radians(rotate))
        for i in triples:
            x[..., i : i + 3] = x[..., i : i + 3] @ turn
    if scale:
        gain = torch.exp(scale * torch.randn(n, 1, x.shape[2]))
        for i in triples:
            gain[..., i : i + 3] = gain[..., i : i + 1]
        x *= gain
    if noise:
        x += noise * std * torch.randn_like(x)
    return x


def rotations(n: int, sigma: float) -> Tensor:
    """Return rotations [n, 3, 3] about random axes; angles of standard deviation `sigma` rad."""
    axis = torch.nn.functional.normalize(torch.randn(n, 3), dim=1)
    angle = (sigma * torch.randn(n)).view(n, 1, 1)
    a, b, c = axis.unbind(1)
    zero = torch.zeros_like(a)
    cross = torch.stack([zero, -c, b, c, zero, -a, -b, a, zero], dim=1).view(n, 3, 3)
    # Rodrigues' formula
    eye = torch.eye(3).expand(n, 3, 3)
    return eye + torch.sin(angle) * cross + (1 - torch.cos(angle)) * (cross @ cross)


def phases(stride: int) -> int:
    """Return a random shift of all windows, in [0, stride)."""
    return int(np.random.randint(stride))

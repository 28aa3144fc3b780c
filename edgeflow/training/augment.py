"""Small changes of training windows that another wrist, strap or sensor would bring."""

import math

import torch
from torch import Tensor

from edgeflow.data.channels import axis_triples


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


#: Units of axial vectors, whose mirror image turns the other way round.
AXIAL = ("rad/s", "deg/s", "dps", "uT", "gauss")


def mirror_signs(channels: list[str], units: list[str]) -> Tensor:
    """Return the factors [channels] that make the other wrist's samples of one wrist's.

    The mirror is across the arm, along which a watch has its x axis: x changes its sign, and so do
    y and z of a rate of turn or a magnetic field instead.
    """
    signs = torch.ones(len(channels))
    for i in axis_triples(channels):
        signs[i : i + 3] = torch.tensor(
            [1.0, -1.0, -1.0] if units[i] in AXIAL else [-1.0, 1.0, 1.0]
        )
    return signs


def mirror(x: Tensor, signs: Tensor, share: float) -> Tensor:
    """Return windows x [n, time, channels], about a `share` of them times `signs` [channels]."""
    chosen = torch.rand(len(x), 1, 1) < share
    return torch.where(chosen, x * signs, x)


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


def time_warp(x: Tensor, sigma: float) -> Tensor:
    """Return windows x [n, time, channels], each warped in time by a factor, with the same end.

    Parameters
    ----------
    sigma : float
        Standard deviation of the logarithm of the factor, which stays within 0.6 to 1.65.
        Where a faster window runs out of samples it goes back on itself.
    """
    n, time, channels = x.shape
    if time < 2:
        return x
    speed = torch.exp((sigma * torch.randn(n, 1)).clamp(-0.5, 0.5))
    position = (time - 1 - torch.arange(time - 1, -1, -1) * speed).abs()
    before = position.floor().long().clamp(max=time - 2)
    share = (position - before)[..., None]
    index = before[..., None].expand(n, time, channels)
    return torch.gather(x, 1, index) * (1 - share) + torch.gather(x, 1, index + 1) * share

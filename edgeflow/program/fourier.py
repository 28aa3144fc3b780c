"""Constants of the real Fourier transform of a front end, and of its mel filters."""

import numpy as np
from numpy.typing import NDArray

from edgeflow.program.fixedpoint import INT16_MAX

Floats = NDArray[np.float64]


def radix_4(points: int) -> list[int]:
    """Return the sizes of the parts that each pass of radix 4 joins four of.

    The passes of a transform of that many complex points; for twice a power of 4 one of radix 2
    goes before them.
    """
    size = 2 if points.bit_length() % 2 == 0 else 1
    sizes = []
    while size < points:
        sizes.append(size)
        size *= 4
    return sizes


def reversed_order(points: int) -> NDArray[np.int16]:
    """Return what is read at each place of a transform that gives its values in order."""
    order = np.array([0, 1] if points.bit_length() % 2 == 0 else [0])
    while len(order) < points:
        order = np.concatenate([4 * order + k for k in range(4)])
    return order.astype(np.int16)


def twiddles(size: int) -> NDArray[np.int16]:
    """Return cosines and sines of a real transform of `size` values, Q0.15, in pairs.

    Those of each pass, of one, two and three times the angle ``2 pi j / (4 part)``; then those of
    the angles ``2 pi k / size``, k = 1, 2, ..., below a quarter, which join the halves.
    """
    angles = [
        np.outer(np.arange(part), [1, 2, 3]).reshape(-1) / (4 * part)
        for part in radix_4(size // 2)
        if part > 1
    ]
    turns = np.concatenate([*angles, np.arange(1, size // 4) / size])
    pairs = np.stack([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], axis=1)
    return np.clip(np.round(pairs * 32768), -INT16_MAX, INT16_MAX).astype(np.int16).reshape(-1)


def mel_filters(
    size: int, rate_hz: float, channels: int, low_hz: float, high_hz: float
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return triangular filters on the mel scale, ``1127 ln(1 + f / 700)``, of height 1.

    Parameters
    ----------
    size : int
        Values that the transform reads; its bins are ``rate_hz / size`` apart.
    low_hz, high_hz : float
        Where the first filter begins, and the last one ends.

    Returns
    -------
    edges : int16 array [channels + 2]
        The first bin of each band between two centres, in 1..size / 2, and the bin behind all.
    weight : int16 array [size / 2 - 1]
        Q0.15, of each bin from 1 on: its share in the filter whose centre ends the band; the rest
        of 1 is in that whose centre begins it. 0 outside of all bands.
    """
    bins = np.arange(1, size // 2)
    mel = 1127 * np.log1p(bins * rate_hz / size / 700)
    ends = 1127 * np.log1p(np.array([low_hz, high_hz]) / 700)
    centres = np.linspace(ends[0], ends[1], channels + 2)
    edges = 1 + np.searchsorted(mel, centres)
    band = np.clip(np.searchsorted(centres, mel, side="right") - 1, 0, channels)
    share = (mel - centres[band]) / np.diff(centres)[band]
    inside = (bins >= edges[0]) & (bins < edges[-1])
    weight = np.clip(np.round(share * 32768), 0, INT16_MAX) * inside
    return edges.astype(np.int16), weight.astype(np.int16)

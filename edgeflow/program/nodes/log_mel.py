"""Logarithm of the energies of a sound in the bands of the mel scale, a step a hop of samples."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import ProgramError
from edgeflow.program.fixedpoint import (
    INT16_MAX,
    Ints,
    clip,
    interpolate,
    largest,
    nodes_of,
    shift_right_round,
)
from edgeflow.program.fourier import mel_filters, radix_4, reversed_order, twiddles
from edgeflow.program.matrix import MAX_SIZE
from edgeflow.program.nodes.base import INT16, Node, State

#: Sizes of the transform.
SIZES = (64, 128, 256, 512, 1024)
#: Bits that the product of sample and window loses: 2^30 / 2^7, times sqrt(2) for a complex value,
#: grows to less than 2^30 in the largest transform.
WINDOW_SHIFT = 7
#: Bits that the spectrum's largest value is brought to.
SPECTRUM_BITS = 30


@dataclass(frozen=True, eq=False, repr=False)
class LogMel(Node):
    r"""Log-mel energies of the last `size` samples, of which a step reads `hop` new ones.

    .. math::
        z &= (x\,window) \gg 7 \qquad X = FFT(z) \\
        P_k &= ((2^e \Re X_k)^2 + (2^e \Im X_k)^2) \gg 32, \qquad
               E_i = \sum_k weight_{ik} P_k \\
        y_i &= clip((\max(2^{15} \log_2 \max(E_i, 1) - 2^{16} e, floor) - offset + 2^{down - 1})
               \gg down)

    exactly as in docs/integer-semantics.md. Values of the transform are int32, its factors int16:
    every product but those of the first pass is halved, as is what it is added to, so that nothing
    overflows for any x. The exponent e brings the spectrum's largest part to 30 bits, so that the
    squares of a quiet frame have as many bits as a loud one's. After a reset the samples before the
    first are 0.

    Parameters
    ----------
    name : str
    window : int16 array [size]
        Q0.15, not negative; zeros first, where it is shorter than the transform.
    order : int16 array [size / 2]
        Pairs of samples in the order in which the transform reads them.
    twiddle : int16 array
        Factors of the transform (`edgeflow.program.fourier.twiddles`).
    edges : int16 array [channels + 2]
        First bin of each band, 1..size / 2, not falling.
    weight : int16 array [size / 2 - 1]
        Q0.15, share of each bin, from 1 on, in the filter that its band ends in.
    hop : int
        New samples a step, less than `size`.
    size : int
        Values that the transform reads, one of `SIZES`.
    floor : int
        Least logarithm, in 2^-15 of a factor of two.
    offset : int
        What becomes 0 in y, in the unit of `floor`.
    down : int
        One unit of y is 2^(down - 15) of a factor of two, 1..15.
    bits : int
        Width of y, 8..16.
    """

    window: NDArray[np.int16]
    order: NDArray[np.int16]
    twiddle: NDArray[np.int16]
    edges: NDArray[np.int16]
    weight: NDArray[np.int16]
    hop: int
    size: int
    floor: int
    offset: int
    down: int
    bits: int

    op_type = "LogMel"
    x_field = ("hop", 16)
    y_field = ("channels", "bits")
    array_fields = {
        "window": (0, INT16_MAX), "order": (0, SIZES[-1] // 2), "twiddle": INT16,
        "edges": (1, SIZES[-1] // 2), "weight": (0, INT16_MAX),
    }  # fmt: skip
    size_fields = ("channels",)
    int_fields = {
        "hop": (1, MAX_SIZE), "size": (SIZES[0], SIZES[-1]), "floor": (-(1 << 22), 1 << 22),
        "offset": (-(1 << 22), 1 << 22), "down": (1, 15), "bits": (8, 16),
    }  # fmt: skip
    unrolled_fields = ("size", "channels", "digest")
    tables = ("log2",)
    state_fields = {"frame": ("size", 16)}
    c_struct = "ef_log_mel"
    c_helpers = ("ef_window_frame", "ef_real_fft")
    kernel_only = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.size in SIZES, f"a transform of {self.size} values: use one of {SIZES}")
        self.require(self.hop < self.size, f"a hop of {self.hop} is not below {self.size}")
        self.require(self.window.size == self.size, f"window must have {self.size} values")
        for field, made in (
            ("order", reversed_order(self.size // 2)),
            ("twiddle", twiddles(self.size)),
        ):
            self.require(
                np.array_equal(getattr(self, field), made), f"{field} is not the transform's"
            )
        edges = self.edges.astype(np.int64)
        self.require(
            len(edges) >= 3 and bool((np.diff(edges) >= 0).all() and edges[-1] <= self.size // 2),
            "edges must be bins that do not fall, of one filter at least",
        )
        self.require(
            self.weight.size == self.size // 2 - 1, f"weight must have {self.size // 2 - 1} values"
        )
        # a step is traced with constants in the place of these
        object.__setattr__(self, "_bands", tuple(int(edge) - 1 for edge in self.edges))

    @property
    def bands(self) -> tuple[int, ...]:
        """Where each band begins in `weight`, and where the last one ends."""
        return tuple(vars(self)["_bands"])

    @property
    def channels(self) -> int:
        """Number of filters."""
        return len(self.bands) - 2

    @property
    def digest(self) -> str:
        """Names the bands, which the ONNX function has as constants."""
        return hashlib.sha256(str(self.bands).encode()).hexdigest()[:8]

    @property
    def scratch32(self) -> int:
        return self.size

    def macs(self) -> int:
        passes = sum(part > 1 for part in radix_4(self.size // 2))
        return self.size * (1 + 3 * passes // 2 + 2 + 1) + 2 * self.weight.size

    @staticmethod
    def scale_bits(size: int) -> int:
        """Return log2 of the factor between ``E 2^(-2 e)`` and the energy of samples times window.

        Weights have 15 bits, windows 15 of which 7 are lost, a pass halves, and P loses 32.
        """
        halved = sum(part > 1 for part in radix_4(size // 2))
        return 15 + 2 * (15 - WINDOW_SHIFT - halved) - 32

    def step(self, x: Ints, state: State) -> tuple[Ints, State]:
        frame = np.concatenate([state["frame"][:, self.hop :], x], axis=1)
        re, im = self._spectrum(frame)
        energy, exponent = _powers(re, im)
        weight = self.weight.astype(np.int64)
        rising, falling = energy * weight, energy * (32768 - weight)
        bands = self.bands
        energies = [
            rising[:, first:centre].sum(axis=1, keepdims=True)
            + falling[:, centre:last].sum(axis=1, keepdims=True)
            for first, centre, last in zip(bands, bands[1:], bands[2:], strict=False)
        ]
        energy = np.concatenate(energies, axis=1)
        # not by a maximum, which onnxruntime does not take right beyond 32 bits (`layer_norm`)
        level = _log2(np.where(energy > 0, energy, 1)) - (exponent << 16)
        level = np.maximum(level, self.floor) - self.offset
        return clip(shift_right_round(level, self.down), self.bits), {"frame": frame}

    def _spectrum(self, frame: Ints) -> tuple[Ints, Ints]:
        """Return real and imaginary parts of the bins 1..size / 2 - 1."""
        half, order = self.size // 2, self.order.astype(np.int64)
        z = (frame * self.window.astype(np.int64)) >> WINDOW_SHIFT
        re, im = z[:, ::2].T[order].T, z[:, 1::2].T[order].T
        if half.bit_length() % 2 == 0:
            re, im = re.reshape(-1, 2), im.reshape(-1, 2)
            re, im = (
                np.concatenate([v[:, :1] + v[:, 1:], v[:, :1] - v[:, 1:]], axis=1) for v in (re, im)
            )
        used = 0
        for part in radix_4(half):
            factors = None
            if part > 1:
                factors = self._factors(used, 3 * part)
                used += 6 * part
            re, im = _join_four(re.reshape(-1, 4 * part), im.reshape(-1, 4 * part), part, factors)
        re, im = re.reshape(-1, half), im.reshape(-1, half)
        return _real_bins(re, im, half, self._factors(used, half // 2 - 1))

    def _factors(self, used: int, count: int) -> tuple[Ints, Ints]:
        """Return cosines and sines [count] from a place in `twiddle` on."""
        pairs = self.twiddle[used : used + 2 * count].astype(np.int64)
        return pairs[::2], pairs[1::2]


def _turn(re: Ints, im: Ints, cos: Ints, sin: Ints) -> tuple[Ints, Ints]:
    """Return half of ``(re + j im) (cos - j sin)``: each product is rounded down."""
    return (re * cos >> 16) + (im * sin >> 16), (im * cos >> 16) - (re * sin >> 16)


def _join_four(re: Ints, im: Ints, part: int, factors: Any) -> tuple[Ints, Ints]:
    """Return a transform of ``4 part`` of four side by side; halved, if there are factors."""
    parts = [(re[:, k * part : (k + 1) * part], im[:, k * part : (k + 1) * part]) for k in range(4)]
    if factors is not None:
        cos, sin = factors
        turned = [_turn(*parts[k], cos[k - 1 :: 3], sin[k - 1 :: 3]) for k in range(1, 4)]
        parts = [(parts[0][0] >> 1, parts[0][1] >> 1), *turned]
    (a, b), (c, d), (e, f), (g, h) = parts
    re = np.concatenate(
        [a + e + (c + g), a - e + (d - h), a + e - (c + g), a - e - (d - h)], axis=1
    )
    im = np.concatenate(
        [b + f + (d + h), b - f - (c - g), b + f - (d + h), b - f + (c - g)], axis=1
    )
    return re, im


def _real_bins(re: Ints, im: Ints, half: int, factors: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    """Return bins 1..half - 1 of real samples, whose pairs were transformed as complex ones.

    The bin in the middle is conjugate, as are those behind it: nobody asks for their signs.
    """
    middle = half // 2
    a, b = re[:, 1:middle], im[:, 1:middle]
    c, d = re[:, middle + 1 :][:, ::-1], im[:, middle + 1 :][:, ::-1]
    even_re, even_im = (a + c) >> 1, (b - d) >> 1
    odd_re, odd_im = _turn(b + d, c - a, *factors)
    low, high = (even_re + odd_re, even_im + odd_im), (even_re - odd_re, even_im - odd_im)
    between = slice(middle, middle + 1)
    return (
        np.concatenate([low[0], re[:, between], high[0][:, ::-1]], axis=1),
        np.concatenate([low[1], im[:, between], high[1][:, ::-1]], axis=1),
    )


def _powers(re: Ints, im: Ints) -> tuple[Ints, Ints]:
    """Return squares of bins, at most 2^29, and the exponent [n, 1] that they were shifted by."""
    both = np.concatenate([re, im], axis=1)
    size = largest(np.maximum(both, -1 - both), 1)  # what decides are the bits below the sign
    exponent = size * 0
    for bits in (16, 8, 4, 2, 1):
        small = size < 1 << (SPECTRUM_BITS - bits)
        size = np.where(small, size << bits, size)
        exponent = np.where(small, exponent + bits, exponent)
    # silence would go on to 31
    exponent = np.minimum(exponent, SPECTRUM_BITS - 1)
    re, im = re << exponent, im << exponent
    return (re * re + im * im) >> 32, exponent


def _log2(value: Ints) -> Ints:
    """Return the logarithm of values in 1..2^54, Q15, by a table; the error is below 6e-5."""
    exponent = value * 0 + 22
    for bits in (16, 8, 4, 2, 1):
        great = value >= 1 << (22 + bits)
        value = np.where(great, value >> bits, value)
        exponent = np.where(great, exponent + bits, exponent)
    for bits in (16, 8, 4, 2, 1):
        small = value < 1 << (23 - bits)
        value = np.where(small, value << bits, value)
        exponent = np.where(small, exponent - bits, exponent)
    position = value - (1 << 22)
    return (exponent << 15) + interpolate(nodes_of("log2", value), position, 14)


def hann(frame: int, size: int) -> NDArray[np.float64]:
    """Return the Hann window [size] of the last `frame` values; zeros before it."""
    window = np.zeros(size)
    window[size - frame :] = np.sin(np.pi * (np.arange(frame) + 0.5) / frame) ** 2
    return window


def log_mel_of(
    name: str,
    rate_hz: float,
    *,
    hop: int,
    frame: int,
    size: int,
    channels: int,
    low_hz: float,
    high_hz: float,
    floor: float = -30.0,
    bits: int = 12,
) -> LogMel:
    """Return the node of log-mel energies by the Hann window of `frame` samples.

    y stands for :math:`\\log_2(\\sum_k weight_k |X_k|^2 / 2^{30})` of int16 samples, in units of
    ``2^-(bits - 6)``: 0 to -30 from the loudest sine to the last bit, at most 18.

    Parameters
    ----------
    frame : int
        Samples of a window, at most `size`.
    floor : float
        Least value of y, in factors of two; at -30 the window's sum stands for 1.

    Raises
    ------
    ProgramError
        If a size does not fit, or there is no bin between the frequencies.
    """
    if size not in SIZES or not 1 <= frame <= size:
        raise ProgramError(
            f"a frame of {frame} in a transform of {size} values: use one of {SIZES}"
        )
    if not 0 <= low_hz < high_hz <= rate_hz / 2 or not 1 <= channels <= size // 2:
        raise ProgramError(
            f"{channels} filters from {low_hz:g} to {high_hz:g} Hz of {rate_hz:g} samples a "
            "second: frequencies must rise, up to half of that rate"
        )
    edges, weight = mel_filters(size, rate_hz, channels, low_hz, high_hz)
    zero = LogMel.scale_bits(size) + 30
    return LogMel(
        name,
        window=np.minimum(np.round(hann(frame, size) * 32768), INT16_MAX).astype(np.int16),
        order=reversed_order(size // 2),
        twiddle=twiddles(size),
        edges=edges,
        weight=weight,
        hop=hop,
        size=size,
        floor=round((floor + zero) * 32768),
        offset=zero * 32768,
        down=21 - bits,
        bits=bits,
    )

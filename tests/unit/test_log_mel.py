"""Log-mel energies against a float front end, and the shapes that a node refuses.

It alone would catch an error of the transform that all targets share: parity tests compare the
same integers with themselves.
"""

from dataclasses import replace

import numpy as np
import pytest

from edgeflow.errors import ProgramError
from edgeflow.program.fourier import mel_filters, radix_4, reversed_order
from edgeflow.program.nodes import LogMel
from edgeflow.program.nodes.base import zeros
from edgeflow.program.nodes.log_mel import SIZES, log_mel_of

RATE = 16e3
#: Decibels of a factor of two of energy.
OCTAVE = 10 * np.log10(2)


def node_of(size: int, frame: int, hop: int, channels: int, bits: int) -> LogMel:
    return log_mel_of(
        "mel", RATE, hop=hop, frame=frame, size=size, channels=channels, low_hz=100.0,
        high_hz=7600.0, bits=bits,
    )  # fmt: skip


def sounds(frames: int, hop: int) -> np.ndarray:
    """Return int16 [sounds, frames, hop]: silence, full scale, tones and noise, loud and faint."""
    rng = np.random.default_rng(0)
    t = np.arange(frames * hop)
    noise = np.convolve(rng.normal(size=len(t)), [1, -0.9, 0.5])[: len(t)]
    found = [0 * t, np.where(t // 40 % 2, 32767, -32767), rng.integers(-32767, 32768, len(t))]
    found += [
        a * np.sin(2 * np.pi * f * t / RATE) for a, f in ((32767, 440), (3000, 5311), (9, 950))
    ]
    found += [a * noise * (0.1 + np.sin(t / 900) ** 2) for a in (8000, 100, 2)]
    return np.clip(np.round(found), -32767, 32767).astype(np.int64).reshape(-1, frames, hop)


def run(node: LogMel, x: np.ndarray) -> np.ndarray:
    state, outputs = {"frame": zeros(len(x), node.size)}, []
    for t in range(x.shape[1]):
        y, state = node.step(x[:, t], state)
        outputs.append(y)
    return np.stack(outputs, axis=1)


def triangles(size: int, channels: int) -> np.ndarray:
    """Return filters [channels, size / 2 + 1] written down in another way than the node's."""
    mel = 1127 * np.log1p(np.arange(size // 2 + 1) * RATE / size / 700)
    low, high = 1127 * np.log1p(np.array([100.0, 7600.0]) / 700)
    c = np.linspace(low, high, channels + 2)
    rising = [(mel - c[i]) / (c[i + 1] - c[i]) for i in range(channels)]
    falling = [(c[i + 2] - mel) / (c[i + 2] - c[i + 1]) for i in range(channels)]
    return np.clip(np.minimum(rising, falling), 0, None)


@pytest.mark.parametrize(
    "size,frame,hop,channels,bits",
    [
        (512, 480, 320, 40, 16),
        (1024, 1024, 512, 40, 12),
        (256, 200, 80, 20, 12),
        (64, 64, 9, 5, 16),
    ],
)
def test_levels_are_those_of_a_float_front_end(
    size: int, frame: int, hop: int, channels: int, bits: int
) -> None:
    node = node_of(size, frame, hop, channels, bits)
    x = sounds(12, hop)
    y = run(node, x)
    stream = np.concatenate([np.zeros((len(x), size)), x.reshape(len(x), -1)], axis=1)
    frames = np.stack([stream[:, hop * (t + 1) :][:, :size] for t in range(12)], axis=1)
    window = np.zeros(size)
    window[size - frame :] = np.sin(np.pi * (np.arange(frame) + 0.5) / frame) ** 2
    energy = np.abs(np.fft.rfft(frames * window)) ** 2 @ triangles(size, channels).T
    real = OCTAVE * np.log2(np.maximum(energy, 1e-9)) - 30 * OCTAVE
    loud = real > 20 * np.log10(window.sum() / 2) - 60  # dB below a sine of full scale
    away = np.abs(np.maximum(real, -30 * OCTAVE) - y * 2.0 ** (6 - bits) * OCTAVE)
    assert loud.sum() > 100
    unit = 2.0 ** (6 - bits) * OCTAVE
    assert away[loud].mean() < 0.003 + unit / 3
    assert away[loud].max() < 0.2 + unit
    # noise of one or two units: 8 bits of the transform are below them
    assert away[8, -1].mean() < 0.1 + unit
    assert (y[0] == y.min()).all()


def test_passes_and_order_of_the_transform() -> None:
    assert [radix_4(size // 2) for size in SIZES] == [
        [2, 8], [1, 4, 16], [2, 8, 32], [1, 4, 16, 64], [2, 8, 32, 128]
    ]  # fmt: skip
    assert all(sorted(reversed_order(n)) == list(range(n)) for n in (32, 64, 128, 256, 512))


def test_filters_add_up_to_one() -> None:
    edges, weight = mel_filters(512, RATE, 40, 100.0, 7600.0)
    made = np.zeros((42, 257))
    for band in range(41):
        bins = np.arange(edges[band], edges[band + 1])
        made[band, bins], made[band + 1, bins] = (
            1 - weight[bins - 1] / 2**15,
            weight[bins - 1] / 2**15,
        )
    np.testing.assert_allclose(made[1:41], triangles(512, 40), atol=2e-5)


@pytest.mark.parametrize(
    "change,message",
    [
        ({"hop": 64}, "a hop of 64 is not below 64"),
        ({"size": 100}, "a transform of 100 values: use one of"),
        ({"edges": np.array([5, 3, 9], np.int16)}, "edges must be bins that do not fall"),
        ({"edges": np.array([5, 40, 99], np.int16)}, "edges must be bins"),
        ({"window": np.ones(63, np.int16)}, "window must have 64 values"),
        ({"weight": np.ones(32, np.int16)}, "weight must have 31 values"),
        ({"twiddle": np.ones(90, np.int16)}, "twiddle is not the transform's"),
        ({"order": np.arange(32, dtype=np.int16)}, "order is not the transform's"),
    ],
)
def test_what_is_no_transform_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ProgramError, match=f"layer mel: {message}"):
        replace(node_of(64, 64, 9, 5, 16), **change)


@pytest.mark.parametrize("change", [{"size": 100}, {"frame": 65}, {"low_hz": 9e3}, {"channels": 0}])
def test_wrong_parameters_are_named(change: dict[str, float]) -> None:
    given = {"hop": 9, "frame": 64, "size": 64, "channels": 5, "low_hz": 0.0, "high_hz": 8e3}
    with pytest.raises(ProgramError, match="use one of|they must rise|frequencies must rise"):
        log_mel_of("mel", RATE, **{**given, **change})  # type: ignore[arg-type]

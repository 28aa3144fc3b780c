"""Range of the input: outliers do not set it, and ordinary samples keep theirs to the bit."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from edgeflow.cells.chain import FloatChain
from edgeflow.compression.input_range import INPUT_CLIP
from edgeflow.compression.quantize import quantize
from edgeflow.importers import from_module
from edgeflow.program import Program
from edgeflow.quantization import Widths


class Tilt(nn.Module):
    """A GRU whose classes are the signs of the second channel, and of the first one."""

    def __init__(self, front: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.front = front
        self.gru, self.out = nn.GRU(2, 4, batch_first=True), nn.Linear(4, 4)
        with torch.no_grad():
            for parameter in self.gru.parameters():
                parameter.zero_()
            self.gru.weight_ih_l0[8:] = torch.tensor([[2.0, 0], [-2, 0], [0, 2], [0, -2]])
            self.gru.bias_ih_l0[4:8] = 2.0
            self.out.weight.copy_(torch.tensor([[1.0, -1, 1, -1], [1, -1, -1, 1],
                                                [-1, 1, 1, -1], [-1, 1, -1, 1]]))  # fmt: skip
            self.out.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x if self.front is None else self.front(x)
        return self.out(self.gru(x)[0])


def doubled() -> nn.Module:
    front = nn.Linear(2, 2)
    with torch.no_grad():
        front.weight.copy_(2 * torch.eye(2))
        front.bias.zero_()
    return front


def tilts() -> tuple[np.ndarray, np.ndarray]:
    """Return windows [120, 60, 2] of noise around +-0.3, and their classes."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 4, 120)
    middle = 0.3 * np.stack([1 - 2 * (y // 2), 1 - 2 * (y % 2)], axis=1)
    x = middle[:, None] + 0.5 * rng.standard_normal((120, 60, 2))
    return x.astype(np.float32), y


def with_outliers(
    x: np.ndarray, share: float, value: Callable[[int], np.ndarray], channel: int = 0
) -> np.ndarray:
    x = x.copy()
    hit = np.random.default_rng(2).random(x.shape[:2]) < share
    x[hit, channel] = value(int(hit.sum()))
    return x


def marks(value: float) -> Callable[[int], np.ndarray]:
    return lambda count: np.full(count, value)


def spikes(count: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.choice([-1, 1], count) * np.exp(rng.uniform(np.log(30), np.log(3000), count))


def compressed(net: nn.Module, x: np.ndarray, y: np.ndarray) -> tuple[FloatChain, Program, float]:
    """Return the integer accuracy on half of the windows by the float one, calibrated on others."""
    chain = from_module(net.eval(), tilts()[0][:8])
    program = quantize(chain, x[:60])
    real = chain.run(x[60:])[:, -1].argmax(1) == y[60:]
    whole = program.run(program.quantize_input(x[60:]))[:, -1].argmax(1) == y[60:]
    assert real.mean() > 0.85
    return chain, program, float(whole.mean() / real.mean())


@pytest.mark.parametrize("front", [None, doubled], ids=["gru", "linear"])
@pytest.mark.parametrize(
    "share,value,text",
    [
        (3e-3, marks(-999.0), "are -999"),
        (3e-3, marks(32767.0), "are 32767"),
        (1e-2, marks(-999.0), "are -999"),
        (3e-3, spikes, "are as far out as"),
    ],
    ids=["mark", "mark of int16", "one in a hundred", "spikes"],
)
def test_outliers_do_not_set_the_range(
    front: Callable[[], nn.Module] | None,
    share: float,
    value: Callable[[int], np.ndarray],
    text: str,
) -> None:
    x, y = tilts()
    net = Tilt(front() if front else None)
    _, program, kept = compressed(net, with_outliers(x, share, value), y)
    assert kept >= 0.98
    (note,) = program.metadata["notes"]
    assert note.startswith("channel x0: ") and text in note and "clipped to -" in note


def test_a_mark_is_reported_with_its_share() -> None:
    x, _ = tilts()
    x[:60].reshape(-1, 2)[::200, 0] = -999.0
    program = quantize(from_module(Tilt().eval(), x[:8]), x[:60])
    assert "channel x0: 0.5 % of its samples are -999, " in program.metadata["notes"][0]
    assert "if they mark missing values" in program.metadata["notes"][0]


def test_outliers_of_two_channels() -> None:
    x, y = tilts()
    both = with_outliers(with_outliers(x, 3e-3, marks(-999.0)), 4e-3, marks(32767.0), 1)
    _, program, kept = compressed(Tilt(), both, y)
    assert kept >= 0.98
    assert [note[:11] for note in program.metadata["notes"]] == ["channel x0:", "channel x1:"]


@pytest.mark.parametrize("value", [1e4, 1e9])
def test_one_wrong_sample(value: float) -> None:
    """It neither moves the offset, nor sets the units of what follows."""
    x, y = tilts()
    x[7, 8, 0] = value
    _, program, kept = compressed(Tilt(doubled()), x, y)
    assert kept >= 0.98 and abs(program.input.offset[0]) < 1


def plain_scale(x: np.ndarray) -> np.ndarray:
    samples = x.reshape(-1, x.shape[-1]).astype(np.float64)
    reach = np.quantile(np.abs(samples - samples.mean(axis=0)), 1 - INPUT_CLIP, axis=0)
    return (reach / 2047).astype(np.float32)


@pytest.mark.parametrize("kind", ["normal", "heavy tails", "at rest", "events", "constant"])
def test_ordinary_samples_keep_their_scale_to_the_bit(kind: str) -> None:
    x, _ = tilts()
    rng = np.random.default_rng(4)
    if kind == "heavy tails":
        x[..., 0] = 0.3 * rng.standard_t(3, x.shape[:2])
    elif kind == "at rest":  # a gyroscope: noise, and a move of 40 times as much in 5 % of the time
        x *= np.where(rng.random(x.shape[:2]) < 0.05, 1.0, 0.025)[..., None]
    elif kind == "events":
        x[..., 0] = rng.random(x.shape[:2]) < 0.002
    elif kind == "constant":
        x[..., 0] = 1.0
    program = quantize(from_module(Tilt().eval(), x), x)
    expected = plain_scale(x)
    if kind == "constant":
        expected[0] = np.float32(1 / 2047)
    np.testing.assert_array_equal(program.input.scale, expected)
    assert "notes" not in program.metadata


def test_an_event_that_decides_is_not_clipped() -> None:
    """Noise of 0.01 and a pulse of 1 that the model waits for: far out, repeated, and no mark."""
    rng = np.random.default_rng(5)
    x = 0.01 * rng.standard_normal((60, 60, 2))
    x[rng.random((60, 60)) < 0.01, 0] = 1.0
    program = quantize(from_module(Tilt().eval(), x.astype(np.float32)), x.astype(np.float32))
    assert program.input.scale[0] * 2047 > 0.9


def test_the_form_that_is_given_stays() -> None:
    x = with_outliers(tilts()[0], 1e-3, marks(-999.0))
    chain = from_module(Tilt().eval(), tilts()[0])
    form = quantize(chain, tilts()[0]).input
    assert quantize(chain, x, Widths(), form=form).input is form

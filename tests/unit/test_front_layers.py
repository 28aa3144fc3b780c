"""Front ends as float layers: streams, conversion to the integer nodes, options of a training.

It alone would catch a float twin that its node does not follow, or one that starts otherwise.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

import edgeflow as ef
from edgeflow.cells import SequenceClassifier, load_model, save_model
from edgeflow.cells.front_text import front_of
from edgeflow.data import load_dataset
from edgeflow.errors import TrainError
from edgeflow.training import train
from tests.recordings import write_recordings

CHANNELS = ["acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z"]
TEXTS = ["magnitude", "difference", "gravity=0.5hz@acc", "bandpass=0.5-10", "highpass=1hz"]
ALL = "magnitude,gravity=0.4hz@acc,lowpass=12hz@gyr,difference@acc"


def model_of(front: str, seed: int = 0) -> SequenceClassifier:
    torch.manual_seed(seed)
    model = SequenceClassifier(
        "gru", ["a", "b", "c"], CHANNELS, hidden=8, rate_hz=50.0, window=40, front=front
    )
    with torch.no_grad():
        model.front[-1].std.fill_(3.0)
        model.front[-1].mean.fill_(0.5)
    return model.eval()


def windows(n: int, time: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.normal(0, 0.4, (n, time, 6)), axis=1)
    x[..., 2] += 9.8
    return x.astype(np.float32)


@pytest.mark.parametrize("front", [*TEXTS, ALL])
def test_a_stream_goes_on_where_it_stopped(front: str) -> None:
    model, x = model_of(front), torch.from_numpy(windows(3, 40))
    whole = model(x)
    first, state = model.stream(x[:, :17])
    rest, _ = model.stream(x[:, 17:], state)
    torch.testing.assert_close(torch.cat([first, rest], 1), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("front", [*TEXTS, ALL])
def test_nodes_follow_their_float_layers(front: str) -> None:
    model, x = model_of(front), windows(24, 40)
    program = ef.compress(model, x)
    kinds = [node.op_type for node in program.nodes]
    assert kinds[: len(model.front)] == [type(layer).__name__ for layer in model.front]
    real = model(torch.from_numpy(x)).detach().numpy()
    y = program.run(program.quantize_input(x)) * program.output_scale
    assert np.abs(y - real).max() < 0.04 * np.abs(real).max() + 0.02


def test_axes_of_a_vector_have_one_scale() -> None:
    x = windows(8, 40) * np.array([1, 1, 0.01, 1, 1, 1], np.float32)
    scale = ef.compress(model_of("magnitude@acc"), x).input.scale
    assert scale[0] == scale[1] == scale[2]
    assert len(set(scale[3:])) == 3


def test_the_first_sample_is_the_past() -> None:
    still = torch.full((1, 30, 6), 4.0)
    (gravity,) = front_of("gravity=1hz@acc", CHANNELS, 50.0)
    y, _ = gravity(still)
    assert torch.allclose(y[..., :3], torch.zeros(1)) and torch.allclose(
        y[..., 6:], torch.tensor(4.0)
    )
    (high,) = front_of("highpass=1hz", CHANNELS, 50.0)
    assert high(still)[0].abs().max() < 1e-5
    (jerk,) = front_of("difference", CHANNELS, 50.0)
    assert not jerk(still)[0][..., 6:].any()


def test_a_checkpoint_keeps_front_ends(tmp_path: Path) -> None:
    model, x = model_of(ALL), torch.from_numpy(windows(2, 40))
    save_model(model, tmp_path / "model.pt")
    torch.testing.assert_close(load_model(tmp_path / "model.pt")(x), model(x))


@pytest.mark.parametrize(
    "text,message",
    [
        ("gravity", "front 'gravity': write gravity=0.3hz"),
        ("magnitude=3", "write magnitude"),
        ("bandpass=3", "write bandpass=0.5-10hz"),
        ("fft", "front 'fft': write names of magnitude, difference, gravity, lowpass"),
        ("lowpass=30hz", "below 25 Hz, half of the 50 samples a second"),
        ("gravity=0.3hz@mag", r"no channels for it \(x, y and z of a sensor side by side\)"),
        ("difference@q", r"no channels for it \(any\)"),
    ],
)
def test_a_wrong_text_is_named(text: str, message: str) -> None:
    with pytest.raises(TrainError, match=message):
        front_of(text, CHANNELS, 50.0)


def test_training_puts_them_first(tmp_path: Path) -> None:
    write_recordings(tmp_path / "data.csv")
    data = load_dataset(str(tmp_path / "data.csv"))
    options = {"hidden": 4, "epochs": 2, "window": 30, "front": "magnitude,gravity=0.3hz"}
    result = train(data, out=tmp_path / "run", **options)
    last = result.model.front[-1]
    assert last.outputs == 4 + 1 + 3
    assert last.mean.any() and (last.std != 1).all()
    x = torch.from_numpy(data.windows("train", length=30).x)
    y = result.model.front[-1](result.model.front[0](x)[0])[0]
    assert y.mean(dim=(0, 1)).abs().max() < 0.5
    assert result.metrics["arguments"]["front"] == options["front"]

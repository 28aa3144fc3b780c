"""Sound: recordings in hops, and the float layer of log-mel energies beside its node.

It alone would catch a layer that trains on other levels than the device computes, and hops whose
targets or rates are those of samples.
"""

import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import edgeflow as ef
from edgeflow.cells import SequenceClassifier, load_model, save_model
from edgeflow.cells.front_sound import OCTAVE_DB, LogMel, hop_of_front, mel_of
from edgeflow.cells.front_text import front_of
from edgeflow.data import Dataset, Recording, load_dataset
from edgeflow.data.frames import for_channels, hop_channels, in_hops
from edgeflow.errors import DataError, TrainError
from edgeflow.program.nodes.base import zeros
from edgeflow.program.nodes.log_mel import log_mel_of
from edgeflow.tasks.events import Events
from edgeflow.training import train

RATE = 8000


def clips(seed: int = 0) -> Dataset:
    """Return tones of two heights in noise, a second each, of three people."""
    rng, t = np.random.default_rng(seed), np.arange(RATE) / RATE
    recordings = [
        Recording(
            (level * np.sin(2 * np.pi * hz * t) + rng.normal(0, 0.01, RATE))
            .astype(np.float32)[:, None],
            label, person,
        )
        for person in ("a", "b", "c")
        for label, hz in enumerate((300, 900))
        for level in (0.05, 0.2, 0.5)
    ]  # fmt: skip
    people = {"train": ["a"], "val": ["b"], "test": ["c"]}
    return Dataset(
        "tones", ["low", "high"], ["audio"], ["full scale"], RATE, recordings, people, window=RATE
    )


@pytest.mark.parametrize(
    "text,rate,bits",
    [
        ("log-mel", 16000.0, 12),
        ("log-mel:hop=10ms:frame=25ms:bands=20", 8000.0, 16),
        ("log-mel:frame=64ms:hop=32ms:floor=-80db:from=60hz:to=4khz", 16000.0, 16),
    ],
)
def test_layer_and_node_agree(text: str, rate: float, bits: int) -> None:
    mel = mel_of(text, rate)
    rng, n = np.random.default_rng(0), 40 * mel.hop
    t = np.arange(n) / rate
    noise = np.convolve(rng.normal(0, 0.2, n), [1, -0.9, 0.5], "same")
    sounds = [
        0 * t,
        np.sign(np.sin(2e3 * t)),
        noise,
        0.01 * noise,
        0.3 * np.sin(2 * np.pi * 440 * t),
    ]
    sounds += [
        noise * (0.1 + np.sin(9 * t) ** 2),
        0.02 * np.sin(2 * np.pi * 2311 * t) + noise / 100,
    ]
    x = np.clip(np.round(32768 * np.array(sounds)), -32767, 32767).reshape(-1, 40, mel.hop)
    y, _ = LogMel(mel)(torch.from_numpy((x / 32768).astype(np.float32)))
    node = log_mel_of(
        "mel", rate, hop=mel.hop, frame=mel.frame, size=mel.size, channels=mel.bands,
        low_hz=mel.low_hz, high_hz=mel.high_hz, floor=mel.floor, bits=bits,
    )  # fmt: skip
    state, found = {"frame": zeros(len(x), node.size)}, []
    for step in x.astype(np.int64).transpose(1, 0, 2):
        integers, state = node.step(step, state)
        found.append(integers)
    real, level = y.numpy(), np.stack(found, axis=1) * 2.0 ** (6 - bits)
    sine = mel.floor - mel.floor_db / OCTAVE_DB  # of full scale
    away = OCTAVE_DB * np.abs(real - level)[real > sine - 60 / OCTAVE_DB]
    assert away.size > 1000
    assert away.mean() < 0.1
    assert real.min() == pytest.approx(mel.floor, abs=1e-4)
    assert abs(level.min() - mel.floor) <= 2.0 ** (6 - bits)


def test_a_stream_goes_on_where_it_stopped() -> None:
    (layer,) = front_of("log-mel", hop_channels("audio", 160), 50.0)
    x = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (3, 30, 160)).astype(np.float32))
    whole, _ = layer(x)
    first, state = layer(x[:, :11])
    rest, _ = layer(x[:, 11:], state)
    torch.testing.assert_close(torch.cat([first, rest], 1), whole)


def test_hops_of_recordings() -> None:
    data = clips()
    found = in_hops(data, 160)
    assert found.rate_hz == 50 and found.window == 50
    assert found.channels[::159] == ["audio_0", "audio_159"]
    np.testing.assert_array_equal(
        found.recordings[0].x.reshape(-1), data.recordings[0].x.reshape(-1)
    )
    tags = np.arange(RATE) // 4000
    one = replace(data.recordings[0], x=data.recordings[0].x[:-1], target=tags[:-1])
    events = Events(("low", "high"), RATE)
    tagged = in_hops(replace(data, recordings=[one], target=events), 3000)
    assert tagged.recordings[0].target is not None
    assert tagged.recordings[0].target.tolist() == [0, 1]  # of samples 2,999 and 5,999
    assert tagged.target == Events(("low", "high"), RATE / 3000)
    assert for_channels(data, found.channels).channels == found.channels
    assert for_channels(data, ["x", "y"]) is data
    with pytest.raises(DataError, match="no recording has 9000 samples, a hop"):
        in_hops(data, 9000)
    with pytest.raises(DataError, match="sound is one: choose it with --channels"):
        in_hops(found, 2)


def test_training_and_compression(tmp_path: Path) -> None:
    front = "log-mel:bands=8"
    data = clips()
    options = {"hidden": 8, "epochs": 20, "batch": 3, "front": front, "dropout": 0.0}
    result = train(data, out=tmp_path / "run", **options)
    assert result.metrics["window"] == 50 and result.metrics["rate_hz"] == 50
    assert result.metrics["test"]["accuracy"] > 0.8
    program = ef.compress(tmp_path / "run", data, out=tmp_path / "model.onnx")
    assert [node.op_type for node in program.nodes] == ["LogMel", "GRU", "Linear"]
    assert program.input.bits == 16 and set(program.input.scale) == {np.float32(2**-15)}
    assert program.metadata["agreement"] == 1.0
    assert program.metadata["output_error"] < 0.1


def test_a_checkpoint_keeps_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = SequenceClassifier(
        "gru", ["a", "b"], hop_channels("audio", 110), hidden=4, rate_hz=11025 / 110,
        front="log-mel:hop=10ms,difference",
    ).eval()  # fmt: skip
    x = torch.randn(2, 5, 110)
    save_model(model, tmp_path / "model.pt")
    torch.testing.assert_close(load_model(tmp_path / "model.pt")(x), model(x))


@pytest.mark.parametrize(
    "text,message",
    [
        ("log-mel:hop=20", "write log-mel:hop=20ms:frame=30ms.*, not 'hop=20'"),
        ("log-mel:size=512", "not 'size=512'"),
        ("log-mel:hop=40ms:frame=30ms", "a hop of 320 samples and a frame of 240"),
        ("log-mel:hop=200ms", "the frame of at most 1024"),
        ("log-mel:bands=400", "400 bands from 125 to 3800 Hz: whole numbers up to 128"),
        ("log-mel:to=5khz", "frequencies that rise to 4000 Hz"),
        ("log-mel:floor=-120db", "a floor of -120 dB: it is from -90 to 0"),
    ],
)
def test_a_wrong_text_is_named(text: str, message: str) -> None:
    with pytest.raises(TrainError, match=message):
        hop_of_front(text, 8000.0)


def test_other_channels_are_named() -> None:
    with pytest.raises(TrainError, match="of one channel of sound; the data have acc_x, acc_y"):
        front_of("log-mel", ["acc_x", "acc_y", "acc_z"], 50.0)
    with pytest.raises(TrainError, match="it reads 160 samples a step, the data have 80"):
        front_of("log-mel", hop_channels("audio", 80), 100.0)
    with pytest.raises(TrainError, match="first log-mel, of sound, or last stack"):
        front_of("difference,log-mel", ["a", "b"], 50.0)


def write_wav(path: Path, x: np.ndarray, rate: int = RATE, width: int = 2) -> None:
    path.parent.mkdir(exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, width, rate, len(x), "NONE", ""))
        file.writeframes(x.astype("<i2").tobytes())


def write_folder(folder: Path) -> np.ndarray:
    """Write a clip of two words by three speakers; return the samples of all."""
    x = np.random.default_rng(0).integers(-32768, 32768, 9000)
    for person in ("ann", "bob", "cem"):
        write_wav(folder / "yes" / f"{person}_1.wav", x)
        write_wav(folder / "no" / f"{person}_1_a.wav", x[:5000])
    return x


def test_a_folder_of_clips(tmp_path: Path) -> None:
    x = write_folder(tmp_path)
    data = load_dataset(tmp_path)
    assert (data.classes, data.channels, data.units) == (["no", "yes"], ["audio"], ["full scale"])
    assert (data.rate_hz, data.window, data.counts) == (RATE, RATE, [32768.0])
    assert [(one.person, one.label) for one in data.recordings[:2]] == [("ann", 0), ("bob", 0)]
    short, long = data.recordings[0].x, data.recordings[3].x
    np.testing.assert_array_equal(short[3000:, 0], x[:5000] / np.float32(32768))
    assert not short[:3000].any() and len(short) == RATE and len(long) == 9000
    assert data.people == {"train": ["ann"], "val": ["bob"], "test": ["cem"]}


def test_paths_of_clips_by_a_pattern(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    data = load_dataset(tmp_path, pattern="{label}/{person}_1.wav", partial=True)
    assert len(data.recordings) == 3
    assert any("not read, unlike --pattern: no/ann_1_a.wav" in note for note in data.notes)


def test_clips_that_are_not_alike_are_named(tmp_path: Path) -> None:
    x = write_folder(tmp_path)
    with pytest.raises(DataError, match="must say person and label"):
        load_dataset(tmp_path, pattern="{label}/*.wav")
    with pytest.raises(DataError, match="--channels is for tables"):
        load_dataset(tmp_path, pattern="{label}/{person}_*.wav", channels=["audio"])
    write_wav(tmp_path / "yes" / "dan_1.wav", x, rate=16000)
    with pytest.raises(
        DataError, match="dan_1.wav: 16000 Hz, 1 channels; no/ann_1_a.wav: 8000 Hz, 1"
    ):
        load_dataset(tmp_path)
    write_wav(tmp_path / "yes" / "dan_1.wav", x, width=1)
    with pytest.raises(DataError, match="dan_1.wav: 8 bits, .*: write it as WAV of 16 bits"):
        load_dataset(tmp_path)

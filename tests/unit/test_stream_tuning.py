"""A model without windows is fine-tuned as it runs: no reset in the middle of a recording."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from edgeflow.cells import SequenceClassifier
from edgeflow.cells.cells import CELLS
from edgeflow.compression.evaluate import load_chain
from edgeflow.compression.finetune import FineTuneOptions, finetune
from edgeflow.compression.model import ChainModel
from edgeflow.compression.qat import QuantizationAware
from edgeflow.compression.sensitivity import score
from edgeflow.compression.tuning import Tuning
from edgeflow.data import Dataset, sequences_of
from edgeflow.data.sequences import training_stretches
from edgeflow.importers import FloatChain, from_module
from edgeflow.program import Program
from edgeflow.quantization import Widths
from edgeflow.training import train
from edgeflow.training.batches import Batch, streams
from edgeflow.training.fit import Fit
from edgeflow.training.method import Method
from tests.unit.test_train import SMALL, waves


def _chain(cell: str) -> FloatChain:
    torch.manual_seed(0)
    model = SequenceClassifier(cell, ["a", "b"], ["x", "y", "z"], hidden=8, layers=2)
    with torch.no_grad():
        model.std.fill_(0.3)  # spiking layers are silent with small inputs
    return from_module(model, _samples(), classes=("a", "b"))


def _samples(n: int = 8, time: int = 24, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, time, 3)).astype(np.float32)


def _pieces(x: np.ndarray, length: int) -> list[Batch]:
    whole, y = torch.from_numpy(x), torch.zeros(len(x), dtype=torch.int64)
    return [
        Batch(whole[:, at : at + length], y, torch.ones(len(x), length), keep=at > 0)
        for at in range(0, x.shape[1], length)
    ]


@pytest.mark.parametrize("cell", CELLS)
def test_pieces_of_a_stream_are_the_stream(cell: str) -> None:
    """Float layers and integers go on where the piece before ended."""
    model, x = ChainModel(_chain(cell)), _samples(seed=1)
    method = QuantizationAware(_samples(), Widths())
    method.prepare(model)
    real, integers, state = [], [], None
    for batch in _pieces(x, 8):
        with method.during_step(model):
            outputs, state = model.stream(batch.x, state)
            integers.append(method.outputs(model, batch, outputs).detach().numpy())
        real.append(model.stream(batch.x, None)[0].detach().numpy())
    program = method.program
    assert program is not None
    whole = program.run(program.quantize_input(x))
    found = np.concatenate(integers, axis=1)
    np.testing.assert_array_equal(np.round(found / program.output_scale), whole)
    model_state, floats = None, []
    for batch in _pieces(x, 8):
        outputs, model_state = model.stream(batch.x, model_state)
        floats.append(outputs.detach().numpy())
    at_once = model(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(np.concatenate(floats, axis=1), at_once, atol=1e-5)
    assert np.abs(np.concatenate(real, axis=1) - at_once).max() > 1e-3, "a reset makes a difference"


def test_another_recording_starts_from_a_reset() -> None:
    model, x = ChainModel(_chain("gru")), _samples(seed=2)
    method = QuantizationAware(_samples(), Widths())
    method.prepare(model)
    first, *_ = batches = _pieces(x, 8)
    found = []
    for batch in (*batches, first):
        with method.during_step(model):
            found.append(method.outputs(model, batch, model(batch.x)).detach())
    assert torch.equal(found[0], found[-1]) and not torch.equal(found[0], found[1])


class _Watching(Method):
    """Keeps what the model reads."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def losses(self, model: object, batch: Batch, logits: Tensor, losses: Tensor) -> Tensor:
        self.batches.append(batch)
        return losses


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Recordings of 50 to 69 samples; windows have 20."""
    return waves(length=50)


@pytest.fixture(scope="module")
def trained(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stream")
    train(data, out=folder, mode="streaming", warmup=7, **(SMALL | {"epochs": 3}))
    return folder


def test_fine_tuning_reads_whole_recordings(data: Dataset, trained: Path, tmp_path: Path) -> None:
    chain, calibration = load_chain(trained, data)
    watching = _Watching()
    still = {"rotate": 0.0, "scale": 0.0, "noise": 0.0}
    finetune(
        chain, data, calibration, folder=tmp_path, methods=[watching],
        options=FineTuneOptions(epochs=1, batch=1, **still),
    )  # fmt: skip
    seen: list[list[Tensor]] = []
    for batch in watching.batches:
        assert batch.x.shape[1] <= data.window
        if not batch.keep:
            seen.append([])
        seen[-1].append(batch.x[0])
    assert max(map(len, seen)) >= 3
    wholes = [one.x for one in data.split("train")]
    for parts in seen:
        found = torch.cat(parts).numpy()
        assert any(np.array_equal(found, one[len(one) - len(found) :]) for one in wholes)
    counted = sum(float(batch.weight.sum()) for batch in watching.batches)
    assert counted == sum(sum(map(len, parts)) - 7 for parts in seen), "the first 7 do not count"


def test_a_sensor_does_not_turn_within_a_recording(data: Dataset) -> None:
    """Augmentation is drawn for a recording, not for each piece of it."""
    drawn = []

    def turn(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        drawn.append(x.shape)
        return x * (1 + torch.rand(len(x), 1, 1)), y

    recordings = data.split("train")
    pieces = list(streams(recordings, 20, 3, 5, shuffle=False, change=turn))
    assert len(drawn) == -(-len(recordings) // 3) < len(pieces)
    alone = list(streams(recordings, 20, 3, 5, shuffle=False))
    gains, last = [], None
    for piece, before in zip(pieces, alone, strict=True):
        gain = (piece.x / before.x)[:, 0, 1]
        if piece.keep and last is not None:
            inside = before.weight[:, 0] > 0
            assert torch.allclose(gain[inside], last[inside])
        last = gain
        gains.append(gain)
    assert float(torch.cat(gains).nan_to_num(1.0).std()) > 0.1


def test_training_hands_its_changes_to_whole_recordings(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[int] = []
    changed = Fit._changed

    def seen(fit: Fit, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        shapes.append(x.shape[1])
        return changed(fit, x, y)

    monkeypatch.setattr(Fit, "_changed", seen)
    train(data, out=tmp_path, mode="streaming", **(SMALL | {"epochs": 1}))
    assert min(shapes) > data.window


def test_streams_are_calibrated_on_stretches(data: Dataset, trained: Path) -> None:
    _, calibration = load_chain(trained, data)
    lengths = [len(one.x) for one in data.split("train")]
    assert calibration.shape[1] == int(np.median(lengths)) > 2 * data.window
    assert training_stretches(replace(data, window=8), 0).shape[1] == 4 * 8
    np.testing.assert_array_equal(training_stretches(data, 9), data.windows("train", length=9).x)


def test_widths_are_chosen_on_whole_recordings(
    data: Dataset, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    run = Program.run

    def seen(program: Program, x: np.ndarray, *rest: object) -> np.ndarray:
        lengths.append(x.shape[1])
        return run(program, x, *rest)  # type: ignore[arg-type]

    chain, calibration = load_chain(trained, data)
    tuning = Tuning(data, tmp_path, mixed=100.0)
    monkeypatch.setattr(Program, "run", seen)
    tuning(chain, calibration, Widths())
    found = sequences_of(data, "val", window=0, warmup=7)
    assert max(len(x) for x in found.x) in lengths
    assert tuning.sensitivities


def test_scores_of_widths_are_those_of_streams(data: Dataset, trained: Path) -> None:
    from edgeflow.compression.evaluate import compress_model

    compressed = compress_model(trained, data, split="val")
    found = sequences_of(data, "val", window=0, warmup=7)
    assert score(compressed.program, found).value == compressed.scores["accuracy_int"]

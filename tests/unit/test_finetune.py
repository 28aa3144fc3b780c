"""Fine-tuning: outputs to the bit, gradients at the integers' weights, resumable, never worse."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgeflow.cells import SequenceClassifier, save_model
from edgeflow.cells.cells import CELLS
from edgeflow.compression.evaluate import load_chain
from edgeflow.compression.finetune import FineTuned, FineTuneOptions, finetune
from edgeflow.compression.model import ChainModel
from edgeflow.compression.qat import QuantizationAware, load_dequantized
from edgeflow.compression.quantize import quantize
from edgeflow.compression.sensitivity import score
from edgeflow.compression.tuning import Tuning
from edgeflow.data import Dataset, sequences_of
from edgeflow.errors import TrainError
from edgeflow.importers import FloatChain, from_module
from edgeflow.quantization import Converted, Widths
from edgeflow.training import train
from edgeflow.training.batches import Batch
from edgeflow.training.method import Method
from tests.unit.test_train import waves

SMALL = {"epochs": 3, "batch": 8, "rotate": 0.0}


def samples(n: int = 24, time: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, time, 3)).astype(np.float32)


def chain_of(cell: str, layers: int = 1) -> FloatChain:
    torch.manual_seed(0)
    model = SequenceClassifier(
        cell, ["a", "b"], ["x", "y", "z"], hidden=8, layers=layers, window=12
    )
    # spiking layers are silent with small inputs
    with torch.no_grad():
        model.std.fill_(0.3)
    return from_module(model, samples(), classes=("a", "b"), window=12)


def batch_of(x: np.ndarray) -> Batch:
    y = torch.zeros(len(x), dtype=torch.int64)
    return Batch(torch.from_numpy(x), y, torch.ones(x.shape[:2]), keep=False)


@pytest.mark.parametrize("weight", [8, 4])
@pytest.mark.parametrize("cell", CELLS)
def test_outputs_are_those_of_the_program(cell: str, weight: int) -> None:
    """What the loss sees is the oracle's output; weights come back, and all of them learn."""
    model = ChainModel(chain_of(cell, layers=2))
    method = QuantizationAware(samples(), Widths(weight=weight))
    method.prepare(model)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    x = samples(seed=1)
    with method.during_step(model):
        got = method.outputs(model, batch_of(x), model(torch.from_numpy(x)))
        got.square().sum().backward()
    program = method.program
    assert program is not None
    for node in program.nodes:
        for matrix in node.matrices().values():
            assert np.abs(matrix.weight.astype(int)).max() == 2 ** (weight - 1) - 1
    whole = program.run(program.quantize_input(x))
    assert np.array_equal(np.round(got.detach().numpy() / program.output_scale), whole)
    assert torch.equal(got, torch.from_numpy(whole.astype("f4") * np.float32(program.output_scale)))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all()), name


@pytest.mark.parametrize("cell", [cell for cell in CELLS if CELLS[cell].load_dequantized])
def test_assigned_weights_stand_for_the_integers(cell: str) -> None:
    """Converted again, they give the same integers but for units that move with calibration."""
    chain = chain_of(cell)
    widths = Widths(weight=4)
    layers: list[Converted] = []
    program = quantize(chain, samples(), widths, on_layer=layers.append)
    model = ChainModel(chain)
    load_dequantized(model, layers)
    again = quantize(model.chain(), samples(), widths)
    for node, other in zip(program.nodes, again.nodes, strict=True):
        for field, matrix in node.matrices().items():
            same = matrix.weight == other.matrices()[field].weight
            assert same.mean() > 0.9, (node.name, field)


def test_the_gradient_is_that_of_the_weights_of_the_integers() -> None:
    chain, x = chain_of("gru"), samples(seed=2)
    model = ChainModel(chain)
    method = QuantizationAware(samples(), Widths(weight=3))
    method.prepare(model)
    with method.during_step(model):
        got = method.outputs(model, batch_of(x), model(torch.from_numpy(x)))
        cotangent = torch.randn_like(got)
        got.backward(cotangent)
    other = ChainModel(chain)
    layers: list[Converted] = []
    quantize(chain, samples(), Widths(weight=3), on_layer=layers.append)
    load_dequantized(other, layers)
    other(torch.from_numpy(x)).backward(cotangent)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert one.grad is not None and two.grad is not None
        assert torch.equal(one.grad, two.grad)
    plain = ChainModel(chain)
    plain(torch.from_numpy(x)).backward(cotangent)
    gradients = [p.layer("rnn").weight_hh_l0.grad for p in (plain, model)]
    assert not torch.allclose(*gradients)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Path]:
    data, out = waves(), tmp_path_factory.mktemp("trained")
    train(data, out=out, hidden=8, batch=8, epochs=15, lr=2e-2, rotate=0.0)
    return data, out


def run(
    trained: tuple[Dataset, Path], folder: Path, widths: Widths, methods: Any = (), **options: Any
) -> tuple[FineTuned, float]:
    """Fine-tune; return the result and the integer accuracy on test people."""
    data, model = trained
    on_epoch = options.pop("on_epoch", None)
    chain, calibration = load_chain(model, data)
    found = finetune(
        chain, data, calibration, folder=folder, widths=widths, on_epoch=on_epoch,
        methods=[QuantizationAware(calibration, widths), *methods],
        options=FineTuneOptions(**(SMALL | options)),
    )  # fmt: skip
    program = quantize(found.chain, calibration, widths)
    windows = data.windows("test")
    guess = program.run(program.quantize_input(windows.x))[:, -1].argmax(axis=1)
    return found, float((guess == windows.y).mean())


def add_noise(data: Dataset) -> Dataset:
    rng = np.random.default_rng(1)
    recordings = [
        replace(r, x=(r.x + 0.8 * rng.standard_normal(r.x.shape)).astype(np.float32))
        for r in data.recordings
    ]
    return replace(data, recordings=recordings)


def test_it_recovers_what_quantization_lost(tmp_path: Path) -> None:
    noisy = add_noise(waves("abcdef"))
    out = tmp_path / "float"
    train(noisy, out=out, hidden=8, batch=8, epochs=15, lr=2e-2, rotate=0.0)
    chain, calibration = load_chain(out, noisy)
    tested, widths = sequences_of(noisy, "test", window=noisy.window), Widths(weight=2)
    before = score(quantize(chain, calibration, widths), tested)
    kept = copy.deepcopy([layer.state_dict() for _, layer in chain.layers])
    found, accuracy = run((noisy, out), tmp_path / "run", widths, epochs=8, lr=1e-2)
    after = score(quantize(found.chain, calibration, widths), tested)
    assert before.value < 0.8 and after.value == accuracy > 0.9
    assert after.loss < before.loss / 2
    assert found.history[-1]["loss"] < found.history[0]["loss"]
    for (_, layer), state in zip(chain.layers, kept, strict=True):
        assert all(torch.equal(v, state[k]) for k, v in layer.state_dict().items())


def state_of(chain: FloatChain) -> list[torch.Tensor]:
    return [value for _, layer in chain.layers for value in layer.state_dict().values()]


def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    trained: tuple[Dataset, Path], tmp_path: Path
) -> None:
    def stop(epoch: int, total: int, row: dict[str, float]) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    widths = Widths(weight=3)
    whole, _ = run(trained, tmp_path / "a", widths)
    with pytest.raises(KeyboardInterrupt):
        run(trained, tmp_path / "b", widths, on_epoch=stop)
    assert (tmp_path / "b" / "resume.pt").exists()
    parts, _ = run(trained, tmp_path / "b", widths)
    assert whole.history == parts.history and whole.best_epoch == parts.best_epoch
    for one, other in zip(state_of(whole.chain), state_of(parts.chain), strict=True):
        assert torch.equal(one, other)
    # a complete run is not run again, and other arguments are refused
    seen: list[int] = []
    again, _ = run(trained, tmp_path / "b", widths, on_epoch=lambda e, n, row: seen.append(e))
    assert not seen and again.history == whole.history
    for one, other in zip(state_of(whole.chain), state_of(again.chain), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(TrainError, match="lr 0.001, not 0.002"):
        run(trained, tmp_path / "b", widths, lr=2e-3)
    with pytest.raises(TrainError, match="widths"):
        run(trained, tmp_path / "b", Widths(weight=4))


def test_the_model_as_it_came_is_kept_if_training_makes_it_worse(
    trained: tuple[Dataset, Path], tmp_path: Path
) -> None:
    """A rate that ruins the weights."""
    data, model = trained
    found, _ = run(trained, tmp_path, Widths(), lr=3.0, average=0.0, epochs=2)
    chain, calibration = load_chain(model, data)
    start = score(quantize(chain, calibration), sequences_of(data, "val", window=data.window)).value
    assert max(row["val_accuracy"] for row in found.history) <= start
    assert found.best_epoch == 0
    for one, other in zip(state_of(chain), state_of(found.chain), strict=True):
        assert torch.equal(one, other)


class HalfOfTheState(Method):
    """Holds half of the recurrent columns at zero from the second epoch on, then says so."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.on = False

    def prepare(self, model: torch.nn.Module) -> None:
        self.calls.append("prepare")

    def before_epoch(self, model: torch.nn.Module, progress: float) -> None:
        self.calls.append(f"epoch {progress:.2f}")
        self.on = progress > 0.3

    def constrain(self, model: torch.nn.Module) -> None:
        assert isinstance(model, ChainModel)
        if self.on:
            model.layer("rnn").weight_hh_l0[:, ::2] = 0

    def settled(self, progress: float) -> bool:
        return progress > 0.5

    def row(self, model: torch.nn.Module) -> dict[str, float]:
        assert isinstance(model, ChainModel)
        return {"zeros": float((model.layer("rnn").weight_hh_l0 == 0).float().mean())}

    def state(self) -> dict[str, Any]:
        return {"on": self.on}

    def load_state(self, state: dict[str, Any]) -> None:
        self.on = state["on"]

    def finish(self, model: torch.nn.Module) -> None:
        self.calls.append("finish")


def test_test_people_do_not_matter(trained: tuple[Dataset, Path], tmp_path: Path) -> None:
    """Neither for scales, nor for widths, nor for the epoch that is kept."""
    data, model = trained
    other = replace(
        data,
        recordings=[
            replace(r, x=3 * r.x, label=1 - r.label) if r.person in data.people["test"] else r
            for r in data.recordings
        ],
    )
    found = []
    for number, dataset in enumerate((data, other)):
        chain, calibration = load_chain(model, dataset)
        options = FineTuneOptions(**(SMALL | {"epochs": 1}))
        tuning = Tuning(dataset, tmp_path / str(number), options, mixed=1.0)
        _, widths = tuning(chain, calibration, Widths())
        assert tuning.tuned is not None
        found.append((calibration.tolist(), widths, tuning.sensitivities, tuning.tuned.history))
    assert found[0] == found[1]


def test_methods_hook_into_the_loop(trained: tuple[Dataset, Path], tmp_path: Path) -> None:
    method = HalfOfTheState()
    found, _ = run(trained, tmp_path, Widths(), methods=[method])
    assert method.calls == ["prepare", "epoch 0.00", "epoch 0.33", "epoch 0.67", "finish"]
    assert [row["zeros"] for row in found.history] == [0.0, 0.5, 0.5]
    assert found.best_epoch in (2, 3)
    weight = dict(found.chain.layers)["rnn"].weight_hh_l0
    assert bool((weight[:, ::2] == 0).all())
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["history"] == found.history
    assert record["arguments"]["methods"][0]["method"] == "qat"


def test_chain_model_equals_its_classifier(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = SequenceClassifier("lstm", ["a", "b"], ["x", "y", "z"], hidden=5, layers=2, window=12)
    save_model(model, tmp_path / "model.pt")
    chain = from_module(model, samples(), classes=("a", "b"), window=12)
    ours = ChainModel(chain).train()
    assert not ours.training and ours.names == ["rnn0", "rnn1", "head"]
    x = torch.from_numpy(samples())
    assert torch.allclose(ours.stream(x)[0], model(x), atol=1e-6)

"""Spikes that are watched, counted and regularised."""

from pathlib import Path

import numpy as np
import pytest
import torch

from edgeflow.api import compress
from edgeflow.cells import SequenceClassifier
from edgeflow.cells.l2mu import L2MU
from edgeflow.cells.lif import LIF
from edgeflow.cells.spikes import watch
from edgeflow.errors import TrainError
from edgeflow.program.firing import spike_rates
from edgeflow.training import train
from edgeflow.training.batches import Batch
from edgeflow.training.spikes import SpikeRate, hoyer
from tests.unit.test_train import waves

SPIKING = ("lif", "cuba-lif", "l2mu", "cuba-l2mu", "lmuformer-snn")


def classifier(cell: str, **options: object) -> SequenceClassifier:
    torch.manual_seed(0)
    return SequenceClassifier(cell, ["a", "b"], ["x", "y", "z"], window=20, hidden=8, **options)


def batch_of(n: int = 6) -> Batch:
    torch.manual_seed(1)
    x = 2 * torch.randn(n, 20, 3)
    return Batch(x, torch.zeros(n).long(), torch.ones(n, 20), keep=False)


def test_what_a_layer_shows_is_what_it_did() -> None:
    torch.manual_seed(0)
    layer, x = LIF(3, 8), 2 * torch.randn(4, 20, 3)
    with watch(layer) as activity:
        spikes, _ = layer(x)
    (found,) = activity
    assert found.spikes is spikes and spikes.sum() > 0
    assert torch.equal(found.membrane > 1, spikes > 0)
    layer(x)
    assert len(activity) == 1, "it is not watched any more"


def test_an_l2mu_shows_its_three_populations() -> None:
    torch.manual_seed(0)
    layer, x = L2MU(5, 8, 4, 4.0, 2), (torch.rand(4, 20, 5) < 0.5).float()
    with watch(layer) as activity:
        h, _ = layer(x)
    assert [part.spikes.shape[2] for part in activity] == [2, 8, 8]
    assert torch.equal(activity[2].spikes, h)
    for part in activity:
        assert torch.equal(part.membrane > 1, part.spikes > 0)


def test_hoyer_of_ones_and_zeros_is_their_share_and_pushes_small_values_down() -> None:
    assert float(hoyer(torch.tensor([1.0, 0.0, 0.0, 1.0, -3.0]))) == pytest.approx(0.4)
    assert float(hoyer(torch.zeros(3))) == 0
    z = torch.tensor([0.2, 0.9], requires_grad=True)
    hoyer(z).backward()
    assert z.grad is not None and z.grad[0] > 0 > z.grad[1]


@pytest.mark.parametrize("regularizer", ["l1", "hoyer"])
@pytest.mark.parametrize("cell", SPIKING)
def test_the_loss_is_the_formula(cell: str, regularizer: str) -> None:
    model, batch, losses = classifier(cell), batch_of(), torch.rand(6, 20)
    method = SpikeRate(0.05, regularizer=regularizer, strength=2.0)
    method.prepare(model)
    method.before_epoch(model, 0.0)
    with method.during_step(model):
        with torch.no_grad():
            model.stream(batch.x)  # as a calibration does: it does not count
        logits, _ = model.stream(batch.x)
        found = method.losses(model, batch, logits, losses)
    with watch(model) as activity:
        model.stream(batch.x)
    neurons = sum(part.spikes.shape[2] for part in activity)
    expected, spikes = torch.zeros(()), 0.0
    for part in activity:
        rate = part.spikes.mean()
        spikes += float(rate.detach()) * part.spikes.shape[2] / neurons
        if rate > 0.05:
            penalty = rate - 0.05 if regularizer == "l1" else hoyer(part.membrane)
            expected = expected + 2.0 * part.spikes.shape[2] / neurons * penalty
    assert expected > 0
    assert torch.allclose(found, losses + expected, atol=1e-6)
    assert method.row(model) == {"spike_rate": pytest.approx(spikes, rel=1e-5)}
    found.mean().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.rnn.parameters())


def test_silent_enough_neurons_are_left_alone() -> None:
    model, batch, losses = classifier("lif"), batch_of(), torch.rand(6, 20)
    method = SpikeRate(0.99)
    with method.during_step(model):
        found = method.losses(model, batch, model.stream(batch.x)[0], losses)
    assert found is losses


def test_a_training_keeps_to_the_rate(tmp_path: Path) -> None:
    data = waves()
    options = {"hidden": 8, "batch": 8, "epochs": 8, "rotate": 0.0, "patience": 0}
    x = torch.from_numpy(data.windows("test").x)
    rates = []
    for name, methods in (("free", []), ("kept", [SpikeRate(0.03, strength=10.0)])):
        result = train(data, "lif", out=tmp_path / name, methods=methods, **options)
        with torch.no_grad(), watch(result.model) as activity:
            result.model(x)
        rates.append(float(activity[0].spikes.mean()))
    assert rates[1] < 0.06 < rates[0]
    assert result.metrics["history"][-1]["spike_rate"] < 0.06


def test_rates_of_a_program_are_those_of_its_spikes() -> None:
    rng = np.random.default_rng(0)
    x = 2 * rng.standard_normal((10, 20, 3)).astype(np.float32)
    program = compress(classifier("lif"), x, channels=["x", "y", "z"])
    whole = program.quantize_input(x)
    state, spikes = program.initial_state(len(x)), 0.0
    for t in range(20):
        _, state = program.step(whole[:, t], state)
        spikes += float(state[0]["s"].mean())
    (rate,) = spike_rates(program, whole).values()
    assert rate == pytest.approx(spikes / 20) and rate > 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 1.0}, r"in \[0, 1\)"),
        ({"rate": -0.1}, r"in \[0, 1\)"),
        ({"rate": float("nan")}, r"in \[0, 1\)"),
        ({"rate": 0.1, "regularizer": "l2"}, "use one of l1, hoyer"),
        ({"rate": 0.1, "strength": 0.0}, "use more than 0"),
    ],
)
def test_what_is_out_of_range_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(TrainError, match=message):
        SpikeRate(**arguments)


def test_cells_without_spikes_are_refused() -> None:
    with pytest.raises(TrainError, match="use one of l2mu, .*lif"):
        SpikeRate(0.1).prepare(classifier("gru"))

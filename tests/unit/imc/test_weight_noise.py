"""Training for analog chips. Alone catches weights that deviate otherwise than those of chips,
other noise backward than forward, and an epoch that is chosen without noise."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgeflow.cells.cells import CELLS
from edgeflow.compression.chips import Chips
from edgeflow.compression.evaluate import load_chain
from edgeflow.compression.finetune import FineTuned, FineTuneOptions, finetune
from edgeflow.compression.model import ChainModel
from edgeflow.compression.options import ImcOptions
from edgeflow.compression.qat import QuantizationAware
from edgeflow.compression.sum_noise import SumNoise
from edgeflow.compression.tuning import Tuning
from edgeflow.compression.weight_noise import WeightNoise
from edgeflow.data import Dataset
from edgeflow.errors import CompressError, ImcError
from edgeflow.imc.curve import Curve, Piece
from edgeflow.imc.device import Device, load_device
from edgeflow.imc.options import ArrayOptions
from edgeflow.importers import FloatChain
from edgeflow.program import Program
from edgeflow.quantization import Widths
from edgeflow.training.method import Method
from tests.unit.test_finetune import SMALL, chain_of, samples, trained

__all__ = ["trained"]

#: Only programming errors, far from conductances that cannot be negative.
PLAIN = Device(
    name="plain", about="a line", g_min=5, g_max=25, sources=["a test"],
    programming=Curve(of="g", pieces=[Piece(poly=[0.1, 0.02])]),
)  # fmt: skip
EXACT = ArrayOptions(compensate="none")


def methods_of(
    device: Device | str, arrays: ArrayOptions = EXACT, **options: Any
) -> tuple[QuantizationAware, WeightNoise, SumNoise]:
    device = load_device(device) if isinstance(device, str) else device
    quantized = QuantizationAware(samples(), Widths(), integers=False)
    weights = WeightNoise(quantized, Chips(device, arrays=arrays), **options)
    return quantized, weights, SumNoise(weights)


@contextmanager
def step(model: ChainModel, *methods: Method) -> Iterator[None]:
    with ExitStack() as stack:
        for method in methods:
            stack.enter_context(method.during_step(model))
        yield


def started(chain: FloatChain, *methods: Method) -> ChainModel:
    torch.manual_seed(0)
    model = ChainModel(chain)
    for method in methods:
        method.prepare(model)
    return model


@pytest.mark.parametrize("noise", [1.0, 2.5])
def test_each_weight_deviates_as_its_device(noise: float) -> None:
    """Programming errors of both cells of its pair, in the units of its row."""
    quantized, weights, _ = methods_of(PLAIN, noise=noise)
    model = started(chain_of("gru"), quantized, weights)
    parameter = model.layer("rnn").weight_hh_l0
    drawn = []
    with step(model, quantized):
        integers = parameter.detach().numpy().copy()
        for _ in range(600):
            with step(model, weights):
                drawn.append(parameter.detach().numpy() - integers)
        assert np.array_equal(parameter.detach().numpy(), integers)
    largest = np.abs(integers).max(axis=1, keepdims=True)
    g = 5 + 20 * np.abs(integers) / largest
    expected = noise * np.hypot(0.1 + 0.02 * g, 0.1 + 0.02 * 5) / 20 * largest
    found = np.std(drawn, axis=0) / expected
    # 600 draws: one standard error is 2.9 %, and there are 192 weights
    assert abs(found.mean() - 1) < 0.01 and found.min() > 0.87 and found.max() < 1.13
    assert np.abs(np.mean(drawn, axis=0) / expected).max() < 0.2


@pytest.mark.parametrize("cell", [cell for cell in CELLS if CELLS[cell].load_dequantized])
def test_exact_devices_change_nothing(cell: str) -> None:
    """Weights are those of the integers, whatever the layer makes of its matrices."""
    quantized, weights, sums = methods_of("ideal")
    model = started(chain_of(cell, layers=2), quantized, weights)
    before = [p.detach().clone() for p in model.parameters()]
    x = torch.from_numpy(samples(seed=1))
    with step(model, quantized):
        plain = [p.detach().clone() for p in model.parameters()], model(x)
    with step(model, quantized, weights, sums):
        noisy = [p.detach().clone() for p in model.parameters()], model(x)
    for one, other in zip(plain[0], noisy[0], strict=True):
        assert torch.allclose(one, other, rtol=1e-6, atol=1e-7)
    assert torch.allclose(plain[1], noisy[1], rtol=1e-3, atol=1e-4)
    for parameter, value in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, value)


def test_forward_and_backward_see_the_same_weights() -> None:
    """And the gradient is for the float weights, as it is at those of the chip."""
    quantized, weights, _ = methods_of("pcm")
    model = started(chain_of("gru"), quantized, weights)
    x = torch.from_numpy(samples(seed=2))
    with step(model, quantized, weights):
        there = {name: p.detach().clone() for name, p in model.named_parameters()}
        y = model(x)
        assert torch.equal(y, model(x))
        cotangent = torch.randn_like(y)
        y.backward(cotangent)
    other = ChainModel(chain_of("gru"))
    other.load_state_dict(there, strict=False)
    other(x).backward(cotangent)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert one.grad is not None and two.grad is not None
        assert torch.allclose(one.grad, two.grad, rtol=1e-4, atol=1e-6)
    with step(model, quantized, weights):  # another chip
        assert not torch.equal(there["layers.0.weight_hh_l0"], model.layer("rnn").weight_hh_l0)


def test_quantization_comes_first() -> None:
    quantized, weights, _ = methods_of("pcm")
    model = started(chain_of("gru"), quantized, weights)
    refused = pytest.raises(CompressError, match="QuantizationAware comes before")
    with refused, step(model, weights, quantized):
        pass


def test_sums_have_the_noise_of_reads_and_of_outputs() -> None:
    """A variance for each row, by the largest product of its weights and inputs."""
    reads, outputs = 0.2, 0.1
    arrays = ArrayOptions(input_noise=reads, output_noise=outputs, compensate="none")
    quantized, weights, sums = methods_of("ideal", arrays)
    model = started(chain_of("gru"), quantized, weights, sums)
    head = model.layer("head")
    x = torch.randn(8) * 0.3
    with step(model, quantized, weights):
        clean = head(x)
        with step(model, sums):
            drawn = (head(x.expand(4000, 8)) - clean).detach().numpy()
        w = head.weight.detach().numpy()
    largest = np.abs(w).max(axis=1)  # inputs are states, in -1..1
    variance = (outputs * largest) ** 2 + reads**2 * largest * (np.abs(w) @ (x.numpy() ** 2))
    assert drawn.std(axis=0) == pytest.approx(np.sqrt(variance), rel=0.05)
    assert np.abs(drawn.mean(axis=0) / np.sqrt(variance)).max() < 0.08


def test_sums_are_noisy_in_each_step_of_a_recurrence() -> None:
    """A layer that torch runs in one operation: recurrent sums differ even from equal inputs."""
    arrays = ArrayOptions(output_noise=0.1)
    quantized, weights, sums = methods_of("ideal", arrays)
    model = started(chain_of("gru"), quantized, weights, sums)
    same = torch.zeros(2, 12, 3)
    with step(model, quantized, weights, sums):
        one, other = model(same)
    assert not torch.allclose(one, other, atol=1e-3)
    assert type(model.layer("rnn")) is nn.GRU and "forward" not in vars(model.layer("rnn"))


def test_weights_are_clipped_by_row() -> None:
    _, weights, _ = methods_of("pcm", clip=1.5)
    model = started(chain_of("gru"))
    weight = model.layer("rnn").weight_hh_l0
    with torch.no_grad():
        weight[0, 0] = 9.0
        before = weight.clone()
        weights.constrain(model)
    limit = 1.5 * before.std(1, correction=0, keepdim=True)
    assert torch.allclose(weight, before.clamp(-limit, limit)) and weight[0, 0] < 9
    with torch.no_grad():
        kept = weight.clone()
        methods_of("pcm", clip=0.0)[1].constrain(model)
    assert torch.equal(weight, kept)


def tuned(
    found: tuple[Dataset, Path], folder: Path, run_as: Any, methods: Sequence[Method] = ()
) -> FineTuned:
    data, model = found
    chain, calibration = load_chain(model, data)
    return finetune(
        chain, data, calibration, folder=folder, methods=methods, run_as=run_as,
        options=FineTuneOptions(**SMALL),
    )  # fmt: skip


def test_the_epoch_is_the_best_on_chips(trained: tuple[Dataset, Path], tmp_path: Path) -> None:
    """Here the chips of the second epoch are the only good ones, by their mean."""
    calls: list[Program] = []

    def chips(program: Program) -> list[Program]:
        calls.append(program)
        good = len(calls) == 3  # the first is the model as it came
        return [program, program if good else silent(program)]

    found = tuned(trained, tmp_path, chips)
    best, *others = (found.history[k] for k in (1, 0, 2))
    assert len(calls) == 4 and found.best_epoch == 2
    assert best["val_accuracy"] == best["ideal_accuracy"]
    for row in others:
        assert row["val_accuracy"] < row["ideal_accuracy"] - 0.1
    # without chips an earlier epoch is as good
    assert found.history[0]["ideal_accuracy"] >= best["ideal_accuracy"]
    assert tuned(trained, tmp_path / "plain", None).best_epoch < 2


def test_the_model_as_it_came_does_not_compete(
    trained: tuple[Dataset, Path], tmp_path: Path
) -> None:
    """Its score is that of an epoch chosen on the same subjects: the chips of it are best here."""
    calls: list[Program] = []

    def chips(program: Program) -> list[Program]:
        calls.append(program)
        return [program if len(calls) == 1 else silent(program)]

    _, calibration = load_chain(trained[1], trained[0])
    quantized = QuantizationAware(calibration, Widths(), integers=False)
    noise = WeightNoise(quantized, Chips(load_device("pcm"), count=1))
    found = tuned(trained, tmp_path, chips, [quantized, noise])
    assert found.best_epoch > 0 and len(calls) == SMALL["epochs"]


def silent(program: Program) -> Program:
    """Return a program that always decides for the first class."""
    *nodes, head = program.nodes
    weight = head.matrices()["matrix"]
    bias = np.where(np.arange(weight.rows) == 0, 1 << 20, -(1 << 20)).astype(np.int32)
    nothing = replace(weight, weight=np.zeros_like(weight.weight), bias=bias)
    last: Any = replace(head, matrix=nothing)  # type: ignore[call-arg]
    return replace(program, nodes=(*nodes, last))


def test_chips_are_others_in_training_and_scoring_than_in_a_simulation() -> None:
    chain, x = chain_of("gru"), samples()
    quantized, weights, _ = methods_of("pcm")
    model = started(chain, quantized, weights)
    with step(model, quantized):
        program = quantized.program
    assert program is not None
    chips = Chips(load_device("pcm"), count=3)
    scored = [chips.programs(program, x) for _ in range(2)]
    others = [chips.draw(program, number) for number in range(3)]
    seen = [weights_of_chip(p) for p in (*scored[0], *others)]
    assert all(not np.array_equal(a, b) for i, a in enumerate(seen) for b in seen[:i])
    assert all(
        np.array_equal(weights_of_chip(a), weights_of_chip(b)) for a, b in zip(*scored, strict=True)
    )


def weights_of_chip(program: Program) -> np.ndarray:
    found: Any = program.nodes[0].matrices()["recurrent"]
    return np.asarray(found.effective)


def test_a_tuning_says_what_it_did(trained: tuple[Dataset, Path], tmp_path: Path) -> None:
    """With all noise; an interrupted run draws the same as a whole one."""
    data, model = trained
    imc = ImcOptions("pcm", chips=2, time="1h", dac=6, adc=6, output_noise=0.04)

    def run(folder: str, stop: int = 0) -> FineTuned:
        def on_epoch(epoch: int, total: int, row: dict[str, float]) -> None:
            if epoch == stop:
                raise KeyboardInterrupt

        chain, calibration = load_chain(model, data)
        options = FineTuneOptions(**(SMALL | {"epochs": 2}))
        tuning = Tuning(data, tmp_path / folder, options, imc=imc, on_epoch=on_epoch)
        tuning(chain, calibration, Widths())
        assert tuning.tuned is not None
        return tuning.tuned

    whole = run("a")
    with pytest.raises(KeyboardInterrupt):
        run("b", stop=1)
    assert run("b").history == whole.history
    assert all("ideal_accuracy" in row for row in whole.history)  # so epochs are scored on chips
    quantized, weights, sums = whole.arguments["methods"]
    assert quantized["integers"] is False and sums["method"] == "sum noise"
    assert weights["device"]["name"] == "pcm" and weights["seconds"] == 3600
    assert weights["arrays"]["adc"] == 6 and (weights["noise"], weights["clip"]) == (1.0, 2.5)


def test_what_is_out_of_range() -> None:
    for wrong in ({"noise": -1}, {"clip": 0.5}, {"chips": 0}, {"time": "1s,1d"}, {"adc": 1}):
        with pytest.raises(CompressError, match="^imc"):
            ImcOptions("pcm", **wrong)
    with pytest.raises(ImcError, match="no data of"):
        Chips(load_device("rram-wan"), seconds=5)

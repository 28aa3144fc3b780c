"""Several samples a step: streams in pieces, the integers behind it, trainings, wrong texts.

Fast. It alone would catch a stack that loses samples between two calls, one whose steps are not the
program's, and read-outs, teachers or streams that count steps where they should count samples.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgeflow as ef
from edgeflow.cells import SequenceClassifier, load_model, save_model
from edgeflow.cells.chain import FloatChain
from edgeflow.cells.front_text import split_stack
from edgeflow.cells.sample_stack import SampleStack, convert
from edgeflow.codegen.expected import expected
from edgeflow.compression.anytime import with_cutoff
from edgeflow.compression.delta import sparsity, with_thresholds
from edgeflow.compression.model import ChainModel
from edgeflow.compression.options import DeltaOptions
from edgeflow.data import Dataset, load_dataset
from edgeflow.errors import CompressError, TrainError
from edgeflow.importers import load_float_model
from edgeflow.program.onnx_file import OnnxProgram
from edgeflow.quantization import Widths
from edgeflow.recipes.recipe import make_recipe
from edgeflow.recipes.sketch import sketch
from edgeflow.targets.board import load_board
from edgeflow.training import train
from edgeflow.training.distill import Distillation
from tests.recordings import write_recordings

CHANNELS = ["acc_x", "acc_y", "acc_z", "gyr_x"]
FRONTS = ["stack:2", "stack:5", "magnitude,difference@gyr,stack:4"]


def model_of(front: str, **options: Any) -> SequenceClassifier:
    torch.manual_seed(3)
    model = SequenceClassifier(
        "gru", ["a", "b", "c"], CHANNELS, hidden=8, rate_hz=50.0, window=20, front=front, **options
    )
    with torch.no_grad():
        model.mean.copy_(torch.tensor([0.5, -1.0, 9.0, 0.0]))
        model.std.copy_(torch.tensor([2.0, 1.0, 3.0, 1.0]))
    return model.eval()


def windows(n: int, time: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    x = np.cumsum(rng.normal(0, 0.4, (n, time, len(CHANNELS))), axis=1)
    x[..., 2] += 9.8
    return x.astype(np.float32)


def test_samples_of_a_step_stand_side_by_side() -> None:
    x = torch.arange(2 * 7 * 3.0).reshape(2, 7, 3)
    y, rest = SampleStack(3)(x)
    torch.testing.assert_close(y[:, 1], torch.cat([x[:, 3], x[:, 4], x[:, 5]], dim=1))
    torch.testing.assert_close(rest, x[:, 6:])


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("readout", ["last", "leaky"])
def test_a_stream_goes_on_where_it_stopped(front: str, readout: str) -> None:
    model, x = model_of(front, readout=readout), torch.from_numpy(windows(3, 20))
    whole, state, parts = model(x), None, []
    for piece in x.split([1, 2, 6, 1, 1, 9], dim=1):
        y, state = model.stream(piece, state)
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("readout", ["last", "mean", "leaky"])
def test_the_program_follows(front: str, readout: str) -> None:
    model, x = model_of(front, readout=readout), windows(24, 20)
    samples, layers = split_stack(front)[1], len(model.front)
    program = ef.compress(model, x)
    kinds = [node.op_type for node in program.nodes]
    assert kinds[layers : layers + 3] == ["Taps", "Decimate", "GRU"]
    assert kinds[-1] == "ZeroOrderHold"
    clock = program.clocks[layers + 2]
    assert (clock.first, clock.period) == (samples - 1, samples)
    real = model(torch.from_numpy(x)).detach().numpy()
    integers = program.quantize_input(x)
    y = program.run(integers)
    assert np.abs(y * program.output_scale - real).max() < 0.04 * np.abs(real).max() + 0.02
    assert not y[:, : samples - 1].any()
    held = y[:, samples - 1 : 2 * samples - 1]
    assert (held == held[:, :1]).all() and (y[:, -1] != held[:, 0]).any()
    np.testing.assert_array_equal(OnnxProgram(program).run(integers[:4]), y[:4])


def test_a_mean_is_of_the_steps() -> None:
    model, x = model_of("stack:4", readout="mean"), torch.from_numpy(windows(2, 20))
    steps = model_of("stack:4")(x)[:, 3::4]
    torch.testing.assert_close(model(x)[:, -1], steps.mean(dim=1))


def test_a_checkpoint_keeps_it(tmp_path: Path) -> None:
    model, x = model_of(FRONTS[-1]), torch.from_numpy(windows(2, 20))
    save_model(model, tmp_path / "model.pt")
    torch.testing.assert_close(load_model(tmp_path / "model.pt")(x), model(x))


@pytest.mark.parametrize(
    "front,message",
    [
        ("stack", "front 'stack': write stack:2, or more samples a step"),
        ("magnitude, stack:1", "front 'stack:1': write stack:2"),
        ("stack:2,magnitude", "or last stack:2"),
        (
            "stack:3",
            "the last 2 of a window's 20 samples would not be read: use windows of 18 or 21",
        ),
        ("stack:40", "the last 20 of a window's 20 samples"),
    ],
)
def test_a_wrong_text_is_named(front: str, message: str) -> None:
    with pytest.raises(TrainError, match=message):
        model_of(front)


def test_a_stack_alone_is_no_stack() -> None:
    with pytest.raises(TrainError, match="it must be of at least 2"):
        SampleStack(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    path = tmp_path_factory.mktemp("data") / "data.csv"
    write_recordings(path)
    return load_dataset(str(path))


class TestTraining:
    def test_a_teacher_of_the_full_rate(self, data: Dataset, tmp_path: Path) -> None:
        options: dict[str, Any] = {"hidden": 6, "epochs": 2, "window": 30, "tail": 1.0}
        teacher = train(data, out=tmp_path / "teacher", **options)
        result = train(
            data, out=tmp_path / "student", front="stack:3", **options,
            methods=[Distillation([teacher.folder])],
        )  # fmt: skip
        assert result.model.rnn.input_size == 3 * len(data.channels)
        assert result.metrics["arguments"]["front"] == "stack:3"
        assert result.metrics["test"]["decisions"] == teacher.metrics["test"]["decisions"]

    def test_front_ends_before_it_keep_their_zero(self, data: Dataset, tmp_path: Path) -> None:
        """A delay line has no integer for a mean that is not zero."""
        result = train(data, out=tmp_path, hidden=4, epochs=1, window=30, front="magnitude,stack:2")
        last: Any = result.model.front[-1]
        assert not last.mean.any() and (last.std != 1).all()
        ef.compress(result.model, data.windows("val", length=30).x)

    def test_a_stream_is_trained_in_pieces(self, data: Dataset, tmp_path: Path) -> None:
        """Pieces of 31 samples end in the middle of a step, and the last may be shorter than one."""
        result = train(
            data, out=tmp_path, hidden=4, epochs=1, window=31, mode="streaming", front="stack:4"
        )
        assert result.metrics["test"]["decisions"] > 0

    def test_fine_tuned_with_thresholds_and_early_exit(self, data: Dataset, tmp_path: Path) -> None:
        options: dict[str, Any] = {"hidden": 8, "epochs": 3, "window": 30, "tail": 1.0}
        result = train(data, out=tmp_path / "run", front="stack:3", **options)
        recipe = make_recipe({}, {"delta": {"state": 0.5, "input": 0.0}, "epochs": 1})
        program = ef.compress(result.model, data, recipe=recipe, out=tmp_path / "model.onnx")
        # the share of the inputs is that of samples behind a stack, too
        assert program.nodes[2].delta_matrices().keys() == {"recurrent"}
        program = with_cutoff(program, data, 50.0)
        x = program.quantize_input(data.windows("test", length=30).x)
        assert program.cutoff is not None and program.metadata["cutoff"]["chosen"]
        np.testing.assert_array_equal(OnnxProgram(program).run(x), program.run(x))


@pytest.mark.parametrize("front", ["stack:2", "magnitude,stack:2", "difference"])
def test_inputs_are_those_behind_front_ends(front: str) -> None:
    """A layer behind them reads samples: the share of the states is not for it."""
    chain = load_float_model(model_of(front), windows(24, 20))
    found = with_thresholds(chain, windows(24, 20), DeltaOptions(state=0.8, input=0.25), Widths())
    model = ChainModel(found)
    model.chain().run(windows(24, 20))
    shares = sparsity(model)
    assert shares["input_sparsity"] == pytest.approx(0.25, abs=0.03)
    assert shares["state_sparsity"] == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("front", ["stack:2", "difference,stack:2"])
def test_inputs_of_a_sketch_are_those_behind_front_ends(front: str) -> None:
    recipe = make_recipe({}, {"delta": {"state": 0.8, "input": 0.25}})
    fired = sketch("gru", 4, 3, recipe, hidden=8, front=front, window=20).metadata["fired"]
    assert fired == {"rnn.input": pytest.approx(0.75), "rnn.recurrent": pytest.approx(0.2)}


def test_what_a_step_costs_is_divided() -> None:
    """Cycles, too: weights that are read at one step of four are waited for at one."""
    board = load_board("qemu-m4")
    whole, stacked = (
        expected(sketch("gru", 6, 7, hidden=48, window=40, front=front), board, optimize="speed")
        for front in ("", "stack:4")
    )
    assert whole.instructions is not None and stacked.instructions is not None
    assert whole.cycles is not None and stacked.cycles is not None
    assert stacked.instructions < 0.4 * whole.instructions
    assert stacked.cycles < 0.4 * whole.cycles


def test_it_is_two_layers_of_a_chain() -> None:
    model, x = model_of("stack:2"), windows(4, 20)
    chain = load_float_model(model, x)
    assert isinstance(chain, FloatChain)
    assert [name for name, _ in chain.layers] == ["stack0", "stack1", "rnn", "head", "hold"]
    np.testing.assert_allclose(chain.run(x), model(torch.from_numpy(x)).detach().numpy(), atol=1e-5)


class Net(torch.nn.Module):
    """A GRU that reads four normalised samples at a time, in one of the ways to write that."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.stack = SampleStack(4)
        self.rnn = torch.nn.GRU(4 * len(CHANNELS), 5, batch_first=True)
        self.out = torch.nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = (x - 0.5) / 2.0
        n, width = x.shape[0], 4 * x.shape[2]
        if self.way == "layer":
            x = self.stack(x)[0]
        elif self.way == "unflatten":
            x = x.unflatten(1, (-1, 4)).flatten(2)
        else:
            x = x.reshape(n, -1, width)
        if self.way == "wrong":  # each channel's samples side by side
            x = x.unflatten(2, (4, -1)).transpose(2, 3).flatten(2)
        result: torch.Tensor = self.out(self.rnn(x)[0][:, -1])
        return result


@pytest.mark.parametrize("way", ["layer", "reshape", "unflatten"])
def test_a_module_of_your_own(way: str) -> None:
    net, x = Net(way).eval(), windows(8, 20)
    program = ef.compress(net, x)
    assert [node.op_type for node in program.nodes][:3] == ["Taps", "Decimate", "GRU"]
    y = program.run(program.quantize_input(x))[:, -1] * program.output_scale
    np.testing.assert_allclose(y, net(torch.from_numpy(x)).detach().numpy(), atol=0.05)


@pytest.mark.parametrize("kind", ["pt2", "onnx"])
def test_a_file(kind: str, tmp_path: Path) -> None:
    net, x = Net("reshape").eval(), windows(8, 20)
    example, path = torch.from_numpy(x[:2]), tmp_path / f"model.{kind}"
    if kind == "pt2":
        torch.export.save(torch.export.export(net, (example,)), path)
    else:
        torch.onnx.export(net, (example,), str(path), input_names=["x"], dynamo=False)
    chain = load_float_model(path, x)
    np.testing.assert_allclose(
        chain.run(x)[:, -1], net(torch.from_numpy(x)).detach().numpy(), atol=1e-5
    )


def test_another_order_of_samples_is_refused() -> None:
    with pytest.raises(CompressError):
        ef.compress(Net("wrong").eval(), windows(8, 20))


def test_it_must_be_expanded() -> None:
    with pytest.raises(CompressError, match="must be expanded"):
        convert(SampleStack(2), None)  # type: ignore[arg-type]

"""Reservoirs of random memory: weights not as their file says, not of the radius that was asked
for, or trained after all; states, head or readings that are not those of the equations; chips that
are equal, or change when there are more of them."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import pytest
import torch
import typer
from scipy import stats
from typer.testing import CliRunner

from edgeflow.cells import load_model
from edgeflow.cli.reservoir import command
from edgeflow.compression.reservoir import train_reservoir
from edgeflow.data import Dataset, Recording
from edgeflow.errors import EdgeFlowError, ImcError
from edgeflow.imc.breakdown import Breakdown, breakdown_names, load_breakdown
from edgeflow.imc.converter import Converter
from edgeflow.imc.reservoir import Array, Cells, Design, Pairs, Reservoir
from edgeflow.imc.reservoir_chips import Chip, ReservoirChips, on_chips
from edgeflow.imc.reservoir_fit import Examples, designs, fit
from edgeflow.imc.reservoir_options import ReservoirOptions
from edgeflow.imc.ridge import STRENGTHS, Ridge
from edgeflow.tasks import Metric, Task

SMALL = MappingProxyType({"hidden": 16, "gain": 0.5, "radius": 0.8, "chips": 2})
DESIGNS = (Design("rnn", 0.4, 0.9), Design("lif", 0.7, 0.6, 0.7))


def waves() -> Dataset:
    """Two classes that differ in frequency and size, of four people."""
    rng = np.random.default_rng(0)
    recordings = []
    for person in "abcd":
        for label in (0, 1, 0, 1):
            phase = (0.3 + 0.5 * label) * np.arange(80) + rng.uniform(0, 6)
            x = np.stack([np.sin(phase), np.cos(phase), rng.standard_normal(80)], axis=1)
            x[:, :2] *= 1 + label
            recordings.append(Recording(x.astype(np.float32), label, person))
    people = {"train": ["a", "b"], "val": ["c"], "test": ["d"]}
    return Dataset("waves", ["slow", "fast"], ["ax", "ay", "az"], ["g"] * 3, 10.0, recordings,
                   people, 20)  # fmt: skip


def cells(inputs: int = 3, hidden: int = 16, seed: int = 0, number: int = 0) -> Cells:
    return Cells.drawn(load_breakdown("random-rram"), inputs, hidden, seed, number)


@pytest.mark.parametrize("name", breakdown_names())
def test_cells_are_as_the_file_says(name):
    source = load_breakdown(name)
    g = source.draw((400, 500), np.random.default_rng(1))
    broken = g[g != source.pristine]
    n = g.size
    assert abs(broken.size / n - (1 - source.intact)) < 4 * math.sqrt(0.25 / n)
    law = stats.lognorm(source.sigma, scale=source.median)
    assert stats.kstest(broken, law.cdf).pvalue > 1e-3
    assert (
        stats.kstest(broken, stats.lognorm(1.1 * source.sigma, scale=source.median).cdf).pvalue
        < 1e-6
    )


def test_the_measured_arrays_are_what_the_file_describes():
    """Moments of the 1430 broken of 2900 cells in the source's Figure_1.xlsx, which was read once."""
    source = load_breakdown("random-rram")
    mean = source.median * math.exp(source.sigma**2 / 2)
    assert mean == pytest.approx(12.336, rel=0.005)
    assert mean * math.sqrt(math.expm1(source.sigma**2)) == pytest.approx(1.843, rel=0.02)
    assert 1 - source.intact == pytest.approx(1430 / 2900, abs=0.001)


@pytest.mark.parametrize("radius", [0.5, 1.3])
def test_radius_and_gain_are_as_asked_for(radius):
    found = Reservoir(Design("rnn", 0.4, radius), cells(hidden=60))
    values = np.linalg.eigvals(found.recurrent.weights.astype(np.float64))
    assert np.abs(values).max() == pytest.approx(radius, rel=1e-5)
    assert found.input.weights.shape == (4, 60)
    assert found.input.weights.std() == pytest.approx(0.4, rel=1e-5)


def test_ridge_equals_the_normal_equations():
    rng = np.random.default_rng(2)
    f, y, strength = rng.standard_normal((50, 7)) + 3, rng.standard_normal((50, 2)), 0.1
    head = Ridge(f, y).head(strength)
    # with a column of ones that has no penalty
    whole = np.hstack([f, np.ones((50, 1))])
    penalty = strength * np.square(f - f.mean(axis=0)).sum() / 7
    solved = np.linalg.solve(whole.T @ whole + penalty * np.diag([1] * 7 + [0]), whole.T @ y)
    np.testing.assert_allclose(head.weight, solved[:7].T, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(head.bias, solved[7], rtol=1e-9)
    np.testing.assert_allclose(head.outputs(f), whole @ solved, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.cell)
def test_features_are_those_of_the_equations(design):
    reservoir = Reservoir(design, cells())
    x = np.random.default_rng(3).standard_normal((300, 12, 3)).astype(np.float32)
    w, v = reservoir.input.weights.T, reservoir.recurrent.weights.T
    for n in (0, 299):  # of the first and of the last group of windows
        h, u, total = np.zeros(16), np.zeros(16), np.zeros(16)
        for sample in x[n].astype(np.float64):
            a = w @ np.append(sample, 1) + v @ h
            if design.cell == "rnn":
                h = np.tanh(a)
            else:
                u = design.decay * u + a - h
                h = (u > 1).astype(float)
            total += h
        np.testing.assert_allclose(reservoir.features(x)[n], total / 12, atol=2e-6)


def test_noise_of_a_reading_is_that_of_each_cell():
    source = load_breakdown("random-rram").model_copy(update={"read": 0.05})
    rng = np.random.default_rng(4)
    array = Array(Pairs.drawn(source, 6, 5, rng), 0.1)
    x = rng.standard_normal((1, 6)).astype(np.float32)
    chip = Chip(Reservoir(DESIGNS[0], cells()), source, ReservoirOptions(), x[None, :, :3], rng)
    ours = chip(array, np.repeat(x, 20_000, axis=0))
    plus, minus = (
        side * (1 + 0.05 * rng.standard_normal((20_000, *side.shape)))
        for side in (array.pairs.plus, array.pairs.minus)
    )
    theirs = np.einsum("i,nij->nj", x[0], 0.1 * (plus - minus))
    np.testing.assert_allclose(ours.mean(axis=0), theirs.mean(axis=0), atol=5 * theirs.std() / 141)
    np.testing.assert_allclose(ours.std(axis=0), theirs.std(axis=0), rtol=0.03)
    assert abs(np.corrcoef(ours.T)[0, 1]) < 0.03  # columns have cells of their own


def test_a_chip_without_noise_and_converters_is_the_software():
    source = load_breakdown("random-rram").model_copy(update={"read": 0.0})
    reservoir, rng = Reservoir(DESIGNS[0], cells()), np.random.default_rng(5)
    x = rng.standard_normal((9, 12, 3)).astype(np.float32)
    plain = Chip(reservoir, source, ReservoirOptions(), x, rng)
    assert np.array_equal(reservoir.features(x, plain), reservoir.features(x))
    coarse = Chip(reservoir, source, ReservoirOptions(dac=6, adc=6), x, rng)
    array, given = reservoir.input, np.ones((1, 4), np.float32)
    top = max(float(np.abs(x).max()), 1.0)
    sums = Converter(6, top).convert(given).astype(np.float32) @ array.weights
    found = coarse(array, given)
    levels = found / np.abs(reservoir.features(x, coarse)).max()
    assert np.isfinite(levels).all() and not np.array_equal(found, sums)
    ends = np.concatenate([x.transpose(1, 0, 2).reshape(-1, 3), np.ones((108, 1))], axis=1)
    bound = float(np.abs(ends.astype(np.float32) @ array.weights).max())
    np.testing.assert_allclose(found, Converter(6, bound).convert(sums), rtol=1e-5)


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.cell)
def test_the_model_has_the_weights_and_the_scores_of_the_reservoir(design, tmp_path):
    options = dict(SMALL) | {"gain": design.gain, "radius": design.radius, "seed": 3}
    if design.cell == "lif":
        options["decay"] = design.decay
    data = waves()
    result = train_reservoir(data, design.cell, out=tmp_path / "a", **options)
    assert result.metrics["test"]["accuracy"] > 0.8
    assert result.metrics["reservoir"]["design"]["radius"] == design.radius
    chips = result.metrics["chips"]
    assert len(chips["chips"]) == len(chips["software"]) == 2
    assert chips["software"][0] == pytest.approx(result.metrics["test"]["accuracy"])
    drawn = Reservoir(design, cells(seed=3))
    model = load_model(tmp_path / "a")
    examples = Examples.of(data, 20, model.mean.numpy(), model.std.numpy())
    features = drawn.features(examples.x["test"])
    outputs = features @ model.head.weight.detach().numpy().T + model.head.bias.detach().numpy()
    with torch.no_grad():
        theirs = model(torch.from_numpy(data.windows("test").x))[:, -1].numpy()
    np.testing.assert_allclose(outputs, theirs, atol=2e-3)
    again = train_reservoir(data, design.cell, out=tmp_path / "b", **options)
    one, other = result.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert again.metrics["chips"] == chips
    other = train_reservoir(data, design.cell, out=tmp_path / "c", **options | {"seed": 4})
    assert not torch.equal(other.model.head.weight, result.model.head.weight)


def test_the_program_holds_the_frozen_weights(tmp_path):
    import edgeflow

    data = waves()
    result = train_reservoir(data, out=tmp_path, **SMALL)
    program = edgeflow.compress(result, data)
    node = next(node for node in program.nodes if node.op_type == "RNN")
    matrix = node.matrices()["recurrent"]
    real = Reservoir(Design("rnn", 0.5, 0.8), cells()).recurrent.weights.T
    step = np.abs(real).max(axis=1) / 127  # a scale a row, of its largest weight
    assert np.abs(matrix.weight * step[:, None] - real).max() < 0.501 * step.max()
    assert program.metadata["data"] == "waves"


def test_a_finished_reservoir_is_not_made_again(tmp_path):
    data = waves()
    first = train_reservoir(data, out=tmp_path, **SMALL)
    stamp = (tmp_path / "model.pt").stat().st_mtime_ns
    assert train_reservoir(data, out=tmp_path, **SMALL).metrics == first.metrics
    assert (tmp_path / "model.pt").stat().st_mtime_ns == stamp
    with pytest.raises(EdgeFlowError, match=r"holds a training with hidden 16, not 8"):
        train_reservoir(data, out=tmp_path, **SMALL | {"hidden": 8})


def test_more_chips_change_none_of_them(tmp_path):
    data = waves()
    few = train_reservoir(data, out=tmp_path / "a", **SMALL).metrics["chips"]
    more = train_reservoir(data, out=tmp_path / "b", **SMALL | {"chips": 3}).metrics["chips"]
    assert more["chips"][:2] == few["chips"] and more["software"][:2] == few["software"]
    a, b = cells(number=0), cells(number=1)
    assert not np.array_equal(a.recurrent.plus, b.recurrent.plus)
    none = train_reservoir(data, out=tmp_path / "c", **SMALL | {"chips": 0}).metrics["chips"]
    assert none is None


def test_chips_are_read_with_noise_and_their_software_is_not():
    data = Examples.of(waves(), 20, np.zeros(3), np.ones(3))
    source, options = load_breakdown("random-rram"), ReservoirOptions(hidden=16, chips=3)
    quiet, loud = (
        on_chips(DESIGNS[0], data, source.model_copy(update={"read": read}), options)
        for read in (0.0, 1.0)
    )
    assert quiet.chips == quiet.software == loud.software
    assert loud.chips != loud.software and loud.loss > 0


def test_of_equal_penalties_the_strongest_is_taken():
    rng, y = np.random.default_rng(7), np.arange(40) % 2
    x = 2.0 * y[:, None, None] - 1 + 0.1 * rng.standard_normal((40, 10, 3))
    splits = ("train", "val", "test")
    data = Examples(
        waves().task, {s: x.astype(np.float32) for s in splits}, dict.fromkeys(splits, y)
    )
    fitted = fit(Reservoir(DESIGNS[0], cells()), data)
    assert fitted.scores["accuracy"] == 1 and fitted.strength == max(STRENGTHS)


def test_figures_of_chips():
    metric = waves().task.headline
    found = ReservoirChips.of(metric, [0.7, 0.8], [0.75, 0.85])
    assert (found.mean, found.software_mean) == pytest.approx((0.75, 0.8))
    assert found.sd == pytest.approx(math.sqrt(0.005)) and found.loss == pytest.approx(5.0)


def test_validation_chooses_what_is_not_given():
    assert len(list(designs("rnn", ReservoirOptions()))) > 3
    assert {d.gain for d in designs("lif", ReservoirOptions(gain=0.7))} == {0.7}
    fixed = ReservoirOptions(gain=1, radius=2, decay=0.5)
    assert list(designs("lif", fixed)) == [Design("lif", 1, 2, 0.5)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"device": "random-ram"}, "no random memory 'random-ram'; did you mean 'random-rram'?"),
        ({"device": "none.toml"}, "none.toml: cannot be read"),
        ({"cell": "gru"}, "cell 'gru' has no form as a reservoir: use rnn"),
        ({"decay": 0.9}, "cell 'rnn' has no membrane"),
        ({"hidden": 0}, "hidden is 0: give a whole number in 1..4096"),
        ({"adc": 1}, "adc is 1: give a whole number in 2..16"),
        ({"radius": float("nan")}, "radius is nan"),
        ({"epochs": 3}, "unknown option of a reservoir"),
    ],
)
def test_wrong_input_is_told_in_one_line(change, words, tmp_path):
    options = {"cell": "rnn", **change}
    with pytest.raises(ImcError) as found:
        train_reservoir(waves(), options.pop("cell"), out=tmp_path / "new", **options)
    assert words in str(found.value) and "\n" not in str(found.value)
    assert not (tmp_path / "new").exists()


def test_a_memory_without_chance_is_refused():
    source = load_breakdown("random-rram").model_dump()
    with pytest.raises(ValueError, match="all cells are equal"):
        Breakdown.model_validate(source | {"sigma": 0, "intact": 0})
    with pytest.raises(ValueError, match="sources"):
        Breakdown.model_validate(source | {"sources": []})


def test_the_command_shows_chips_and_their_software(tmp_path: Path):
    rows = ["# rate_hz: 10", "person,recording,label,ax,ay,az"]
    for number, one in enumerate(waves().recordings):
        values = (",".join(f"{v:.3f}" for v in sample) for sample in one.x)
        rows += [f"{one.person},{number},{'ab'[one.label]},{v}" for v in values]
    (tmp_path / "d.csv").write_text("\n".join(rows) + "\n")
    app = typer.Typer()
    app.command()(command)
    given = ["--data", str(tmp_path / "d.csv"), "--window", "20", "--hidden", "12", "--gain", "0.5",
             "--radius", "0.9", "--chips", "2", "-o", str(tmp_path / "out")]  # fmt: skip
    found = CliRunner().invoke(app, given)
    assert found.exit_code == 0, found.output
    assert "gain 0.5, radius 0.9" in found.output and "test, 2 chips" in found.output
    assert (tmp_path / "out" / "model.pt").is_file()


@dataclass(frozen=True)
class Level(Task):
    """The mean of what the first channel was."""

    metrics: ClassVar = (Metric("mae", "mean error", higher_is_better=False),)
    size: ClassVar = 1

    def score(self, truth: np.ndarray, decided: np.ndarray) -> dict[str, float]:
        return {"mae": float(np.abs(truth - decided).mean())}


def test_a_head_may_give_values():
    rng = np.random.default_rng(6)
    y = {split: rng.standard_normal(60).astype(np.float32) for split in ("train", "val", "test")}
    x = {
        split: (level[:, None, None] + rng.standard_normal((60, 15, 3))).astype(np.float32)
        for split, level in y.items()
    }
    data, reservoir = Examples(Level(), x, y), Reservoir(Design("rnn", 0.3, 0.5), cells())
    fitted = fit(reservoir, data)
    assert fitted.head.weight.shape == (1, 16)
    scores = data.score("test", fitted.head.outputs(reservoir.features(x["test"])))
    assert scores["mae"] < 0.3 * np.abs(y["test"]).mean()
    best = min(
        (data.score("val", head.outputs(reservoir.features(x["val"])))["mae"], -strength)
        for strength in STRENGTHS
        for head in [Ridge(reservoir.features(x["train"]), data.targets("train")).head(strength)]
    )
    assert (fitted.scores["mae"], -fitted.strength) == pytest.approx(best)


def test_windows_are_spread_over_all_people():
    data = Examples.of(waves(), 20, np.zeros(3), np.ones(3))
    some = data.at_most({"train": 5, "val": 100, "test": 0})
    assert [len(some.x[split]) for split in ("train", "val", "test")] == [5, 16, 0]
    assert np.array_equal(some.x["train"][-1], data.x["train"][-1])
    assert np.array_equal(some.y["train"][:1], data.y["train"][:1])
    assert replace(some).targets("train").sum(axis=1).tolist() == [1.0] * 5

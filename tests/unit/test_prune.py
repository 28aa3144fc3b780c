"""Pruning: the schedule, masks where kernels look for them, zeros that stay, units that are gone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeflow.cells import load_model
from edgeflow.cells.cells import CELLS
from edgeflow.compression.delta import DeltaSparsity
from edgeflow.compression.evaluate import load_chain
from edgeflow.compression.finetune import FineTuned, FineTuneOptions, finetune
from edgeflow.compression.model import ChainModel
from edgeflow.compression.options import DeltaOptions
from edgeflow.compression.prune import PruneOptions, pruning
from edgeflow.compression.prune.connectivity import FixedConnectivity
from edgeflow.compression.prune.layout import (
    drop,
    dropped_parameters,
    layers_converted,
    trained_matrices,
)
from edgeflow.compression.prune.magnitude import MagnitudePruning
from edgeflow.compression.prune.mask import Block, keep_largest, keep_random
from edgeflow.compression.prune.options import parse_by_matrix
from edgeflow.compression.prune.schedule import gradual
from edgeflow.compression.prune.units import UnitPruning, importance, largest
from edgeflow.compression.qat import QuantizationAware
from edgeflow.compression.quantize import quantize
from edgeflow.compression.tuning import Tuning
from edgeflow.data import Dataset
from edgeflow.errors import CompressError, TrainError
from edgeflow.importers import FloatChain
from edgeflow.program import Program
from edgeflow.quantization import Widths
from edgeflow.training import train
from edgeflow.training.method import Method
from tests.unit.test_finetune import chain_of, samples, state_of
from tests.unit.test_train import same_weights, waves

SHRINKING = [name for name, cell in CELLS.items() if cell.prune_units]
#: Whose matrices' weights can all become zero.
PRUNABLE = [name for name in CELLS if name not in ("ltc", "l2mu", "cuba-l2mu")]


def matrices(program: Program) -> dict[str, np.ndarray]:
    return {f"{n.name}.{k}": m.weight for n in program.nodes for k, m in n.matrices().items()}


def zero_blocks(weight: np.ndarray, block: Block) -> float:
    return float((block.norms(weight.astype(np.float64)) == 0).mean())


def test_schedule() -> None:
    """Zhu and Gupta's equation 1 with n = 4: 1 - (3/4)^3 of the way after the first of them."""
    values = [gradual(k, 4, 0.2, 1.0) for k in (0, 1, 2, 3, 4, 9)]
    assert values == pytest.approx([0.2, 0.2 + 0.8 * 37 / 64, 0.9, 0.2 + 0.8 * 63 / 64, 1.0, 1.0])


@settings(max_examples=100, deadline=None)
@given(
    rows=st.integers(1, 21),
    cols=st.integers(1, 21),
    block=st.builds(Block, st.integers(1, 8), st.integers(1, 5), st.integers(1, 4)),
    sparsity=st.floats(0, 0.99),
    seed=st.integers(0, 99),
)
def test_masks(rows: int, cols: int, block: Block, sparsity: float, seed: int) -> None:
    """Whole blocks, items of whole steps, exactly as many as asked, and never a larger one gone."""
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((rows, cols))
    keep = keep_largest(weight, sparsity, block)
    assert keep.shape == weight.shape
    norms, kept = block.norms(weight), block.norms(keep.astype(float)) > 0
    assert np.array_equal(keep, block.spread(kept, weight.shape))
    items = -(-kept.shape[1] // block.step)
    in_row = kept.sum(axis=1)
    assert np.all((in_row % block.step == 0) | (in_row == kept.shape[1]))
    assert (-(-in_row // block.step)).sum() == items * len(kept) - round(
        sparsity * items * len(kept)
    )
    for row, stays in zip(norms, kept, strict=True):
        assert row[stays].min(initial=np.inf) >= row[~stays].max(initial=0)
    if block.step == 1:
        assert norms[kept].min(initial=np.inf) >= norms[~kept].max(initial=0)
    again = keep_largest(weight * keep, sparsity, block)
    assert np.array_equal(again & (weight * keep != 0), keep & (weight != 0))
    drawn = keep_random((rows, cols), sparsity, block, rng)
    assert (block.norms(drawn.astype(float)) > 0).sum() <= items * len(kept) * block.step
    if block.step == 1:
        assert (block.norms(drawn.astype(float)) > 0).sum() == kept.sum()


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", PRUNABLE)
def test_blocks_lie_where_the_program_has_them(cell: str, layers: int) -> None:
    """Whatever parameters a matrix is made of; the head keeps all, other values are as before."""
    model = ChainModel(chain_of(cell, layers))
    before = [trained_matrices(d) for d in layers_converted(model, samples())]
    block = Block(4, 2)
    shares = {"input": 0.25} if any("input" in m for m in before) else {}
    method = MagnitudePruning(samples(), PruneOptions(0.5, shares, block), epochs=1)
    method.prepare(model)
    assert not method.settled(0.0) and method.settled(1.0)
    method.before_epoch(model, 0.0)
    for number, done in enumerate(layers_converted(model, samples())):
        for field, weight in trained_matrices(done).items():
            keep = method._keep[number][field]
            wanted = 0.0 if done.node.name == "head" else shares.get(field, 0.5)
            blocks = block.norms(keep.astype(float))
            assert (blocks == 0).sum() == round(wanted * blocks.size)
            assert np.allclose(weight, before[number][field] * keep, rtol=1e-5, atol=1e-6)
            assert np.all(done.node.matrices()[field].weight[~keep] == 0)
    program = quantize(model.chain(), samples(), Widths(weight=4))
    for name, whole in matrices(program).items():
        share = 0.0 if name.startswith("head") else shares.get(name.split(".")[1], 0.5)
        # rounding to four bits makes further zeros
        assert zero_blocks(whole, block) >= share - 0.5 / block.norms(whole).size


@pytest.mark.parametrize("first", ["delta", "pruning"])
def test_delta_layers_are_pruned_too(first: str) -> None:
    """Whichever method comes first: the masks find the weights inside."""
    model = ChainModel(chain_of("lmu"))
    prune: Method = MagnitudePruning(samples(), PruneOptions(0.5, block=Block(4, 1)), epochs=1)
    delta: Method = DeltaSparsity(samples(), DeltaOptions(state=0.5, input=0.25), Widths())
    methods = [delta, prune] if first == "delta" else [prune, delta]
    for method in methods:
        method.prepare(model)
    for method in methods:
        method.before_epoch(model, 0.5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
        prune.constrain(model)
    node = quantize(model.chain(), samples()).nodes[0]
    assert node.delta_matrices()
    for matrix in node.matrices().values():
        blocks = Block(4, 1).norms(matrix.weight.astype(float))
        assert (blocks == 0).sum() == round(0.5 * blocks.size)


def test_only_zeros_are_put_back() -> None:
    """A step of the optimiser moves all weights; those of the mask return, the others stay."""
    model = ChainModel(chain_of("gru"))
    method = MagnitudePruning(samples(), PruneOptions(0.5), epochs=1)
    method.prepare(model)
    method.before_epoch(model, 0.0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
        moved: Any = model.layer("rnn").weight_hh_l0.clone()
        method.constrain(model)
    after: Any = model.layer("rnn").weight_hh_l0
    keep = torch.from_numpy(method._keep[0]["recurrent"])
    assert bool((after[~keep] == 0).all()) and torch.equal(after[keep], moved[keep])


def test_zeros_that_came_stay() -> None:
    """A model with as many zeros as asked for keeps just these, from the first epoch on."""
    model = ChainModel(chain_of("gru"))
    weight: Any = model.layer("rnn").weight_hh_l0
    rng = np.random.default_rng(0)
    keep = torch.from_numpy(keep_random(tuple(weight.shape), 0.5, Block(4, 1), rng))
    with torch.no_grad():
        weight.mul_(keep)
    options = PruneOptions(matrices={"recurrent": 0.5}, block=Block(4, 1))
    method = MagnitudePruning(samples(), options, epochs=8)
    method.prepare(model)
    method.before_epoch(model, 0.0)
    assert np.array_equal(method._keep[0]["recurrent"], keep.numpy())


@pytest.mark.parametrize("cell", SHRINKING)
def test_cut_units_are_those_of_zero_outgoing_weights(cell: str) -> None:
    """The smaller model equals the whole one whose other units nobody reads."""
    chain = chain_of(cell, layers=2)
    small, whole = ChainModel(chain), ChainModel(chain)
    UnitPruning(samples(), 0.375).prepare(small)
    layers = layers_converted(whole, samples())
    units = [
        largest(importance(layers, n), 5) if n < 2 else np.arange(2) for n in range(len(layers))
    ]
    read: Any = np.arange(3)
    for number, done in enumerate(layers):
        keep = {}
        for field, weight in trained_matrices(done).items():
            source = done.node.delta_sources.get(field)
            if source is None:  # such as the heads of a CfC, which read its backbone
                keep[field] = np.ones(weight.shape, dtype=bool)
                continue
            columns = read if source == "x" else units[number]
            keep[field] = np.isin(np.arange(weight.shape[1]), columns)[None].repeat(len(weight), 0)
        drop(whole.layers[number], keep, dropped_parameters(whole.layers[number], keep))
        read = units[number]
    x = torch.from_numpy(samples(seed=3))
    assert torch.allclose(small(x), whole(x), atol=1e-5)
    assert not torch.allclose(small(x), ChainModel(chain)(x), atol=1e-3)
    program = quantize(small.chain(), samples())
    assert [node.outputs for node in program.nodes][:3] == [5, 5, 2]
    assert [node.inputs for node in program.nodes][:3] == [3, 5, 5]
    parameters = sum(p.numel() for p in small.parameters())
    assert parameters < sum(p.numel() for p in whole.parameters())


def test_a_pure_cfc_cell_loses_units_too() -> None:
    from edgeflow.cells.cfc import CfC, prune_units

    torch.manual_seed(0)
    cell = CfC(3, 6, mode="pure", backbone_layers=0)
    with torch.no_grad():
        cell.w_tau.uniform_(-1, 1)
        cell.A.uniform_(0.5, 1)
    stays = np.array([0, 2, 5])
    small = prune_units(cell, np.arange(3), stays)
    with torch.no_grad():
        cell.ff1.weight[:, 3 + np.array([1, 3, 4])] = 0
    x = torch.from_numpy(samples())
    assert torch.allclose(small(x)[0], cell(x)[0][..., stays], atol=1e-6)
    masked = CfC(3, 6, rank=2)
    with pytest.raises(CompressError, match="keeps its units"):
        prune_units(masked, np.arange(3), stays)


def test_the_units_that_stay_are_those_that_are_read() -> None:
    """A unit with a large output that nobody reads goes, and so does one that never moves."""
    model = ChainModel(chain_of("gru"))
    layer: Any = model.layer("rnn")
    head: Any = model.layer("head")
    with torch.no_grad():
        head.weight[:, 2] = 0
        layer.weight_hh_l0[:, 2] = 0
        for gate in range(3):
            layer.weight_ih_l0[8 * gate + 6] = 0
            layer.weight_hh_l0[8 * gate + 6] = 0
            layer.bias_ih_l0[8 * gate + 6] = layer.bias_hh_l0[8 * gate + 6] = 0
    scores = importance(layers_converted(model, samples()), 0)
    assert set(np.argsort(scores)[:2]) == {2, 6}
    assert list(largest(scores, 6)) == [0, 1, 3, 4, 5, 7]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Path]:
    data, out = waves(), tmp_path_factory.mktemp("trained")
    train(data, out=out, hidden=16, batch=8, epochs=10, lr=2e-2, rotate=0.0)
    return data, out


def run(
    trained: tuple[Dataset, Path], folder: Path, prune: PruneOptions, epochs: int = 4,
    widths: Widths | None = None, on_epoch: Any = None,
) -> tuple[FineTuned, Program]:  # fmt: skip
    data, model = trained
    widths = widths or Widths()
    chain, calibration = load_chain(model, data)
    methods = [QuantizationAware(calibration, widths), *pruning(calibration, prune, epochs)]
    options = FineTuneOptions(epochs=epochs, lr=1e-2, batch=8, rotate=0.0)
    found = finetune(
        chain, data, calibration, folder=folder, methods=methods, widths=widths, options=options,
        on_epoch=on_epoch,
    )  # fmt: skip
    return found, quantize(found.chain, calibration, widths)


def accuracy(program: Program, data: Dataset) -> float:
    windows = data.windows("test")
    guess = program.run(program.quantize_input(windows.x))[:, -1].argmax(axis=1)
    return float((guess == windows.y).mean())


@pytest.mark.parametrize("weight", [8, 4])
def test_zeros_survive_training_with_integers(
    trained: tuple[Dataset, Path], tmp_path: Path, weight: int
) -> None:
    """The moving average and int4 too; the epochs before the whole sparsity are no candidates."""
    block = Block(4, 2)
    options = PruneOptions(0.5, {"recurrent": 0.75, "head": 0.5}, block)
    found, program = run(trained, tmp_path, options, widths=Widths(weight=weight))
    shares = {k: zero_blocks(w, block) for k, w in matrices(program).items()}
    assert shares["rnn.recurrent"] >= 0.75 and shares["rnn.input"] >= 0.5
    assert shares["head.matrix"] >= 0.5
    if weight == 8:
        assert shares["rnn.recurrent"] == 0.75
    rises = [row["sparsity"] for row in found.history]
    assert rises[0] < rises[1] == rises[2] == rises[3]
    assert found.best_epoch >= 2
    assert accuracy(program, trained[0]) > 0.9


def test_interrupted_pruning_ends_as_an_uninterrupted_one(
    trained: tuple[Dataset, Path], tmp_path: Path
) -> None:
    options = PruneOptions(0.6, block=Block(2, 2), units=0.25)
    whole, program = run(trained, tmp_path / "a", options)
    for stop in (1, 3):

        def leave(epoch: int, total: int, row: dict[str, float], stop: int = stop) -> None:
            if epoch == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(trained, tmp_path / "b", options, on_epoch=leave)
    parts, other = run(trained, tmp_path / "b", options)
    assert whole.history == parts.history and program.hash == other.hash
    # a finished run is read, not run again
    again, same = run(trained, tmp_path / "b", options)
    assert same.hash == program.hash and again.history == whole.history
    for one, two in zip(state_of(whole.chain), state_of(again.chain), strict=True):
        assert torch.equal(one, two)
    with pytest.raises(TrainError, match="methods"):
        run(trained, tmp_path / "b", PruneOptions(0.7, block=Block(2, 2), units=0.25))


def test_units_and_blocks_at_once(trained: tuple[Dataset, Path], tmp_path: Path) -> None:
    """Blocks are those of the smaller matrices."""
    block = Block(4, 1)
    found, program = run(trained, tmp_path, PruneOptions(0.5, block=block, units=0.25))
    shapes = {k: w.shape for k, w in matrices(program).items()}
    assert shapes == {"rnn.input": (36, 3), "rnn.recurrent": (36, 12), "head.matrix": (2, 12)}
    assert zero_blocks(matrices(program)["rnn.recurrent"], block) >= 0.5
    assert accuracy(program, trained[0]) > 0.9
    assert isinstance(found.chain, FloatChain)


@pytest.mark.parametrize("cell", ["gru", "mingru"])
def test_training_with_fixed_connectivity(cell: str, tmp_path: Path) -> None:
    """As many blocks as asked for are zero from the start to the end; resumable."""
    block, data = Block(4, 1), waves()

    def go(folder: str, on_epoch: Any = None) -> None:
        train(
            data, cell, out=tmp_path / folder, hidden=8, layers=2, batch=8, epochs=4, lr=2e-2,
            rotate=0.0, methods=[FixedConnectivity(0.5, block)], on_epoch=on_epoch,
        )  # fmt: skip

    def leave(epoch: int, total: int, row: dict[str, float]) -> None:
        raise KeyboardInterrupt

    go("a")
    with pytest.raises(KeyboardInterrupt):
        go("b", leave)
    go("b")
    assert same_weights(tmp_path / "a", tmp_path / "b")
    chain, calibration = load_chain(tmp_path / "a", data)
    for name, weight in matrices(quantize(chain, calibration)).items():
        norms = block.norms(weight.astype(float))
        expected = 0 if name.startswith("head") else round(0.5 * norms.size)
        assert (norms == 0).sum() == expected, name
    assert any(p.dim() == 2 for p in load_model(tmp_path / "a").parameters())


def test_refusals(trained: tuple[Dataset, Path], tmp_path: Path) -> None:
    data, folder = trained
    for share in (1.0, -0.1, float("nan")):
        with pytest.raises(CompressError, match="in \\[0, 1\\)"):
            PruneOptions(share)
        with pytest.raises(CompressError, match="in \\[0, 1\\)"):
            PruneOptions(units=share)
    with pytest.raises(CompressError, match="recurrent: the share to prune is 2"):
        PruneOptions(matrices={"recurrent": 2.0})
    for text in ("4", "x4", "4x", "axb", "4x4x4", ""):
        with pytest.raises(CompressError, match="no block"):
            Block.parse(text)
    for text in ("0x4", "65x1"):
        with pytest.raises(CompressError, match="sides are"):
            Block.parse(text)
    assert parse_by_matrix("0.75", "0.75") == (0.75, {})
    assert parse_by_matrix("input=0.5, rnn.recurrent=0.8", "0.75") == (
        0.0,
        {"input": 0.5, "rnn.recurrent": 0.8},
    )
    assert parse_by_matrix("0.5,recurrent=0.8", "0.75") == (0.5, {"recurrent": 0.8})
    for text in ("", "much", "=0.5", "recurrent=", "0.5,"):
        with pytest.raises(CompressError):
            parse_by_matrix(text, "0.75")
    chain, calibration = load_chain(folder, data)
    for options, words in (
        (PruneOptions(matrices={"recurent": 0.5}), "no matrix 'recurent'.*rnn.recurrent"),
        (PruneOptions(), "no matrix of the model"),
    ):
        with pytest.raises(CompressError, match=words):
            MagnitudePruning(calibration, options, 1).prepare(ChainModel(chain))
    for cell, words in (("ltc", "no matrix of the model"), ("l2mu", "cannot be pruned: its")):
        options = PruneOptions(0.5) if cell == "ltc" else PruneOptions(matrices={"input": 0.5})
        with pytest.raises(CompressError, match=words):
            MagnitudePruning(samples(), options, 1).prepare(ChainModel(chain_of(cell)))
    with pytest.raises(CompressError, match="LMU.* cannot lose whole units"):
        UnitPruning(samples(), 0.5).prepare(ChainModel(chain_of("lmu")))
    with pytest.raises(CompressError, match="use --epochs"):
        Tuning(data, tmp_path, prune=PruneOptions(0.5))
    with pytest.raises(TrainError, match="between 0 and 1"):
        FixedConnectivity(1.0)
    with pytest.raises(TrainError, match="are for gru"):
        FixedConnectivity(0.5).prepare(torch.nn.ModuleDict({"rnn": torch.nn.Linear(2, 2)}))

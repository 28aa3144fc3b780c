"""Programs hold integers only; the float products behind their matrices travel beside them."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import edgeflow
from edgeflow.cells import SequenceClassifier
from edgeflow.cells.cells import CELLS
from edgeflow.cells.chain import FloatChain
from edgeflow.compression.delta import DeltaOptions, with_thresholds
from edgeflow.compression.quantize import quantize
from edgeflow.errors import CompressError
from edgeflow.importers import from_module
from edgeflow.quantization import Converted, Widths

WINDOW = 12


def samples() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((100, WINDOW, 3)).astype(np.float32)


def chain_of(cell: str, rank: int = 0) -> FloatChain:
    torch.manual_seed(0)
    model = SequenceClassifier(cell, ["a", "b"], ["x", "y", "z"], hidden=13, window=WINDOW)
    with torch.no_grad():
        for parameter in model.rnn.parameters():
            if rank and parameter.ndim == 2 and min(parameter.shape) > rank:
                left, values, right = torch.linalg.svd(parameter, full_matrices=False)
                parameter.copy_(left[:, :rank] * values[:rank] @ right[:rank])
    return from_module(model, samples(), classes=("a", "b"), window=WINDOW)


def made(cell: str, kind: str) -> FloatChain:
    chain = chain_of(cell, rank=2 if "low rank" in kind else 0)
    if "delta" not in kind:
        return chain
    options = DeltaOptions(state=0.6, input=0.3, group=2)
    try:
        return with_thresholds(chain, samples(), options, Widths())
    except CompressError:
        pytest.skip("it has no delta form")


@pytest.mark.parametrize("kind", ["plain", "delta", "low rank", "delta and low rank"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_fresh_program_is_the_one_that_its_file_holds(
    cell: str, kind: str, tmp_path: Path
) -> None:
    """Nothing of the float model or of the calibration data stays in it, whatever its cell."""
    program, path = quantize(made(cell, kind), samples()), tmp_path / "model.onnx"
    program.save(path)
    content = pickle.dumps(program)
    assert content == pickle.dumps(edgeflow.load(path))
    assert len(content) < 1.5 * path.stat().st_size


@pytest.mark.parametrize("kind", ["plain", "delta and low rank"])
@pytest.mark.parametrize("cell", CELLS)
def test_each_matrix_comes_with_what_it_was_made_of(cell: str, kind: str) -> None:
    """A cell that forgets a matrix would leave it out of pruning and fine-tuning in silence."""
    layers: list[Converted] = []
    program = quantize(made(cell, kind), samples(), on_layer=layers.append)
    assert [done.node for done in layers] == list(program.nodes)
    for done in layers:
        assert list(done.provenance) == list(done.node.matrices())
        for field, matrix in done.node.matrices().items():
            affine = done.provenance[field]
            real, scale = affine.dequantize(matrix), affine.source.scale
            # spikes' weights compensate each other's errors, and have larger ones
            error = np.linalg.norm((real - affine.weight) * scale)
            assert error < 0.1 * np.linalg.norm(affine.weight * scale), (done.node.name, field)

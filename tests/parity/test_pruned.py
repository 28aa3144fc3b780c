"""Pruned models: the oracle's bits in C and on boards, dense kernels and block-sparse ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeflow.cells import SequenceClassifier
from edgeflow.codegen.choice import choose_kernels
from edgeflow.codegen.kernels import kernel_named
from edgeflow.codegen.sparse import preferred_block
from edgeflow.compression.model import ChainModel
from edgeflow.compression.prune import PruneOptions, pruning
from edgeflow.compression.prune.mask import Block
from edgeflow.compression.quantize import quantize
from edgeflow.importers import FloatChain, from_module
from edgeflow.program import Program
from edgeflow.targets.board import load_board
from tests.harness import mismatches, none_of, short
from tests.random_programs import SANITIZE
from tests.unit.test_finetune import chain_of, samples

RunC = Callable[..., np.ndarray]


def pruned(chain: FloatChain, options: PruneOptions) -> Program:
    """Return the program of an untrained model, pruned at once."""
    model = ChainModel(chain)
    for method in pruning(samples(), options, epochs=1):
        method.prepare(model)
        method.before_epoch(model, 0.0)
    return quantize(model.chain(), samples())


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn", "mingru", "minlstm", "cfc"])
def test_fewer_units_in_c(run_c: RunC, cell: str) -> None:
    options = PruneOptions(0.5, block=Block(4, 1), units=0.375)
    program = pruned(chain_of(cell, layers=2), options)
    assert [node.outputs for node in program.nodes][:2] == [5, 5]
    x = program.quantize_input(samples(seed=5))
    for kernels in (["c"], ["ef_matvec_sparse_8x1_s8_s16"]):
        np.testing.assert_array_equal(run_c(program, x, SANITIZE, kernels), program.run(x))


@pytest.mark.board
@pytest.mark.parametrize("board", ["qemu-m4", "qemu-m55"])
def test_blocks_are_what_the_kernels_of_a_core_leave_out(board: str, tmp_path: Path) -> None:
    """The share of blocks stored is that asked for, and the block-sparse kernel is chosen."""
    core = load_board(board).core
    form = preferred_block(core)
    block = Block(form.rows, form.cols, form.step)
    torch.manual_seed(0)
    model = SequenceClassifier("gru", ["a", "b"], ["x", "y", "z"], hidden=64, window=12)
    chain = from_module(model, samples(), classes=("a", "b"), window=12)
    program = pruned(chain, PruneOptions(0.75, block=block))
    matrix = program.nodes[0].matrices()["recurrent"]
    assert form.share(matrix) == 0.25
    chosen = {f"{c.layer}.{c.matrix}": c.kernel for c in choose_kernels(program, core)}
    assert kernel_named(chosen["rnn.recurrent"]).sparse is not None
    cases = {"pruned": short(program, *core.kernels)}
    assert mismatches(board, cases, tmp_path) == none_of(cases)

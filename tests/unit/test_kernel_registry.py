"""The registry of kernels: names, files, prototypes and conditions of every kernel."""

import re

import numpy as np
import pytest

from edgeflow.codegen.kernels import KERNEL_SETS, MATVEC_KERNELS, MatvecKernel, _load, kernel_named
from edgeflow.codegen.kernels.exact import columns, input_bits
from edgeflow.codegen.kernels.header import prototypes
from edgeflow.codegen.sources import source_file
from edgeflow.errors import EdgeFlowError, TargetError
from edgeflow.program import Matrix
from edgeflow.resources import kernel_folders, kernel_sets
from edgeflow.targets.board import list_boards
from scripts.firmware_headers import KERNELS
from tests.conftest import ROOT
from tests.unit.test_sparse_kernels import random_zeros

PAGE = (ROOT / "docs" / "add-a-kernel.md").read_text()
GRAMMAR = re.compile(
    r"ef_(?P<delta>delta_)?(matvec|add_columns)(_sparse_(?P<block>\d+x\d+))?(_(?P<way>[a-z]+))?"
    r"(_\d+x\d+)?_s(?P<weights>\d+)(_s(?P<values>\d+))?(_(?P<set>\w+))?"
)


@pytest.mark.parametrize("kernel", MATVEC_KERNELS, ids=lambda kernel: kernel.name)
def test_a_name_says_what_the_kernel_is(kernel: MatvecKernel) -> None:
    """A name outside of the grammar of docs/add-a-kernel.md, or one that says another thing."""
    name = GRAMMAR.fullmatch(kernel.name)
    assert name is not None
    assert bool(name["delta"]) == kernel.delta
    block = None if kernel.sparse is None else f"{kernel.sparse.rows}x{kernel.sparse.cols}"
    assert name["block"] == block
    assert name["way"] is None or f"| `{name['way']}` |" in PAGE
    assert int(name["weights"]) == kernel.weight_bits
    assert (name["values"] == "8") == ("x of at most 8 bits" in kernel.is_exact_for.about)
    assert (name["set"] or "c") == kernel.kernel_set


def test_every_kernel_and_set_has_its_files() -> None:
    """A descriptor without a source, and a folder of sources without a module."""
    for kernel in MATVEC_KERNELS:
        if not kernel.by_tvm:
            assert source_file(kernel.name, [kernel.kernel_set]).startswith(
                kernel.name if kernel.kernel_set == "c" else f"{kernel.kernel_set}/"
            )
    ours = {name for name in KERNEL_SETS if not name.startswith("tvm")}
    assert ours == set(kernel_sets())
    assert {name for board in list_boards() for name in board.core.kernels} == ours


def test_names_are_unique_and_prototypes_up_to_date() -> None:
    names = [kernel.name for kernel in MATVEC_KERNELS]
    assert len(set(names)) == len(names)
    assert all(kernel_named(name).name == name for name in names)
    assert KERNELS.read_text() == prototypes(MATVEC_KERNELS), (
        "run python scripts/firmware_headers.py"
    )


def test_conditions_are_joined() -> None:
    both = columns(8, least=3) & input_bits(8)
    assert both.about == "3 to 8 columns; x of at most 8 bits"
    assert [both(random_zeros(4, cols, 1.0, 0)) for cols in (2, 3, 8, 9)] == [0, 1, 1, 0]
    assert not (both & input_bits(7))(random_zeros(4, 8, 1.0, 0))


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("ef_matvec_split_s8_s16_mve", 25),
        ("ef_matvec_s8_s8_mve", 9),
        ("ef_matvec_shift_s8_s8_mve", 9),
        ("ef_matvec_s4_s8_mve", 9),
    ],
)
def test_kernels_that_read_blocks_without_asking_need_them(name: str, least: int) -> None:
    """A matrix without the blocks that a Helium kernel reads: the firmware stops with a fault."""
    zeros = np.zeros(8, np.int32)
    shapes = ((8, least - 1), (8, least))
    matrices = [Matrix(np.ones(shape, np.int8), zeros, zeros, 1, 8) for shape in shapes]
    assert [kernel_named(name).is_exact_for(matrix) for matrix in matrices] == [False, True]


def test_a_folder_or_module_that_is_wrong_is_named(tmp_path, monkeypatch) -> None:
    """A kernel of a user's own that cannot be loaded: one line with its file."""
    module = tmp_path / "dsp.py"
    for text, message in (("KERNEL = []", "has no list KERNELS"), ("1 / 0", "ZeroDivisionError")):
        module.write_text(text)
        with pytest.raises(TargetError, match=rf"^{module}: {message}"):
            _load(module)
    monkeypatch.setenv("EDGEFLOW_KERNELS", str(tmp_path / "none"))
    with pytest.raises(EdgeFlowError, match="EDGEFLOW_KERNELS: no folder"):
        kernel_folders()

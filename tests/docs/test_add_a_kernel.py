"""docs/add-a-kernel.md is true: its two files make a kernel that is listed and right on boards."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.test_docs import BLOCK

CHECK = """
from pathlib import Path
from scripts.docs_tables import kernels
from tests.harness import linear, mismatches, none_of, short
from tests.random_nodes.matrices import random_matrix
import numpy as np

name = "ef_matvec_backwards_s8_s16"
assert name in kernels() and "`Backwards`" in kernels()
rng = np.random.default_rng(0)
shapes = ((1, 1), (5, 9), (16, 100))
cases = {str(s): short(linear(random_matrix(rng, *s, 12, extreme=True)), name) for s in shapes}
for board in ("host", "qemu-m4"):
    assert mismatches(board, cases, Path(board)) == none_of(cases), board
"""


@pytest.mark.board
def test_the_kernel_of_the_page_works(tmp_path: Path) -> None:
    """A kernel of one source and one descriptor that is not found, compiled or right."""
    for block in BLOCK.finditer((ROOT / "docs" / "add-a-kernel.md").read_text()):
        if block["file"]:
            file = tmp_path / block["file"]
            file.parent.mkdir(exist_ok=True)
            file.write_text(block["text"])
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "EDGEFLOW_KERNELS": "kernels"}
    done = subprocess.run(
        [sys.executable, "-c", CHECK], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr

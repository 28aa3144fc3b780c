"""What a type checker and a fresh interpreter see of ``import edgeflow``."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from mypy import api as mypy

from tests.conftest import ROOT

SCRIPT = """
from pathlib import Path

import numpy as np
import torch
from torch import nn

import edgeflow as ef

x = np.zeros((4, 50, 3))
net = nn.GRU(3, 2, batch_first=True)
reveal_type(ef.compress(net, x, classes=["a", "b"], window=50))
reveal_type(ef.compress("runs/gru", ef.load_dataset("mine.csv"), recipe=ef.Recipe.load("small")))
ef.compress(net, x.tolist())
ef.compress(net, torch.zeros(4, 50, 3), widths=ef.Widths(8, 8, 4))
program = ef.load(Path("model.onnx"))
reveal_type(program.predict(x))
reveal_type(program.values(x))
reveal_type(program.stream().step(x[0, 0]))
reveal_type(program == program)
build = ef.compile(program, "host", "build")
reveal_type(build)
reveal_type(build.size.flash_bytes)
reveal_type(build.predict(x))
reveal_type(ef.profile(build, (x, ["a"] * 4)))
reveal_type(ef.export(program, "cmake", name="gait"))
reveal_type(ef.train("mine.csv", "lstm", out="runs/lstm", hidden=16, epochs=3))
reveal_type(ef.boards()[0].core.name)
reveal_type(ef.Build.load("build").program())
reveal_type(ef.__version__)
ef.train("mine.csv", out="runs/gru", hiden=16)
ef.quantise(net)
ef.compile(3)
"""
REVEALED = [
    "Program", "Program", "ndarray[tuple[Any, ...], dtype[Any]]",
    "ndarray[tuple[Any, ...], dtype[float64]]",
    "str | float | ndarray[tuple[Any, ...], dtype[float64]]", "bool", "Build", "int",
    "ndarray[tuple[Any, ...], dtype[Any]]", "ProfileResult", "list[Path]", "TrainResult", "str",
    "Program", "str",
]  # fmt: skip
ERRORS = ["call-arg", "attr-defined", "arg-type"]


@pytest.mark.slow
def test_strict_script_sees_types(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    found, _, _ = mypy.run(
        ["--strict", "--follow-imports=silent", "--config-file=", "--cache-dir", str(ROOT / ".mypy_cache" / "user"),
         str(script)]
    )  # fmt: skip
    types = re.findall(r'Revealed type is "(.*)"', found)
    short = [re.sub(r"\b[a-z_]\w*\.(?=\w)", "", text) for text in types]
    assert short == REVEALED, found
    assert re.findall(r"error: .* \[([\w-]+)\]$", found, re.M) == ERRORS, found


def test_import_is_lazy() -> None:
    code = (
        "import sys, edgeflow as ef; dir(ef); "
        "print([m for m in ('torch', 'numpy', 'onnx', 'edgeflow.api') if m in sys.modules]); "
        "ef.boards; print([m for m in ('torch', 'numpy', 'onnx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[]"]

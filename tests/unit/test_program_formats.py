"""Program files of earlier formats load as what they were; newer ones are refused.

It alone would catch a change after which files that users have do not load, or load as another
program: all other tests write the files that they read.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeflow.errors import ProgramError
from edgeflow.program import Program
from edgeflow.program.onnx_file import FORMAT

FILES = Path(__file__).with_name("files")
X = np.array([[[2047, -2047], [5, -900], [-1200, 33]]], np.int16)
#: Written by version 0.1: an RNN with a delta matrix, and a ReLU in an exported form.
OLD = {
    "format1.onnx": ("c7b5e92ac49a2ff8", [[2814, 13385], [1736, 16816], [-2462, 29394]]),
    "format1_inline.onnx": ("b8fb92a83ac8bf31", [[-1807, -196], [-523, 408], [-533, 443]]),
}


def with_header(name: str, path: Path, **changes: object) -> Path:
    model = onnx.load(FILES / name)
    entry = next(p for p in model.metadata_props if p.key == "edgeflow")
    entry.value = json.dumps({**json.loads(entry.value), **changes})
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("name", OLD)
def test_an_old_file_is_the_program_that_it_was(name: str, tmp_path: Path) -> None:
    program = Program.load(FILES / name)
    expected, y = OLD[name]
    assert program.hash.hex() == expected
    assert program.run(X)[0].tolist() == y
    program.save(tmp_path / "new.onnx")
    assert Program.load(tmp_path / "new.onnx") == program


@pytest.mark.parametrize("name", OLD)
def test_contents_of_an_old_file_are_still_compared_with_its_hash(
    name: str, tmp_path: Path
) -> None:
    path = with_header(name, tmp_path / "m.onnx", output_scale=3.0)
    with pytest.raises(ProgramError, match="contents and hash disagree"):
        Program.load(path)


@pytest.mark.parametrize("name", OLD)
def test_the_graph_of_a_current_file_is_compared(name: str, tmp_path: Path) -> None:
    path = with_header(name, tmp_path / "m.onnx", format=FORMAT)
    with pytest.raises(ProgramError, match="its graph is not the one"):
        Program.load(path)


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    path = with_header("format1.onnx", tmp_path / "m.onnx", format=FORMAT + 1)
    with pytest.raises(ProgramError, match=f"format {FORMAT + 1} is newer"):
        Program.load(path)

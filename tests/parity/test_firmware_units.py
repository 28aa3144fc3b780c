"""The firmware's own build: a library of this machine and its C unit tests, under sanitizers."""

import shutil
import subprocess
from pathlib import Path

import pytest

from edgeflow.resources import resource


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is missing: run 'edgeflow doctor'")
def test_c_units_pass_under_sanitizers(tmp_path: Path) -> None:
    """What no image shows: malformed frames, ends of buffers, and a build without Python."""
    _run("cmake", "-S", resource("firmware"), "-B", tmp_path, "-DEF_SANITIZE=ON")
    _run("cmake", "--build", tmp_path, "--parallel", "2")
    ran = _run("ctest", "--test-dir", tmp_path, "--output-on-failure")
    units = list((Path(__file__).parent.parent / "firmware").glob("test_*.c"))
    assert f"0 tests failed out of {len(units)}" in ran

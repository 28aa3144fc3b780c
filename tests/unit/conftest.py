"""The unit tier starts no other program: what does belongs to another tier."""

import subprocess

import pytest


@pytest.fixture(autouse=True)
def no_subprocess(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, command: object, *args: object, **kwargs: object) -> None:
        raise AssertionError(f"a unit test starts {command}: move it to another tier")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setenv("EDGEFLOW_SIMULATOR", "numpy")  # no C compiler either

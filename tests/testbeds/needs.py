"""Programs that testbeds need: without them their tests are skipped, but never in CI."""

import os
import shutil
import sys
from pathlib import Path

import pytest


def needs(**packages: str) -> pytest.MarkDecorator:
    """Return the mark that skips tests where a program or file is missing.

    Parameters
    ----------
    **packages : str
        The Debian or PyPI package of each program; underscores stand for hyphens.
    """
    names = {name.replace("_", "-"): package for name, package in packages.items()}
    # tools from PyPI stand beside this Python, which need not be in PATH
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    lacking = [package for name, package in names.items() if not shutil.which(name, path=path)]
    return skipped(lacking)


def skipped(lacking: list[str]) -> pytest.MarkDecorator:
    """Return the mark that skips tests for the lack of packages."""
    reason = f"not installed: {', '.join(lacking)} (scripts/setup.sh installs them as root)"
    return pytest.mark.skipif(bool(lacking) and not os.environ.get("CI"), reason=reason)

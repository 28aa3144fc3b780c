"""What testbeds share: serial ports, a desk with USB sockets, a virtual development kit."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.testbeds.desk import PYTHON, Desk
from tests.testbeds.serial_port import build_modem_lines

if TYPE_CHECKING:
    from tests.testbeds.nrf52840 import Kit


def _lacking() -> list[str]:
    """Return the packages of the virtual kit that are not installed."""
    lacking = []
    if not shutil.which("umockdev-wrapper"):
        lacking.append("umockdev")
    imports = "import gi; gi.require_version('UMockdev', '1.0')"
    try:
        subprocess.run([PYTHON, "-c", imports], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        lacking += ["python3-gi", "gir1.2-umockdev-1.0"]
    if importlib.util.find_spec("unicorn") is None:
        lacking.append("unicorn")
    return lacking


@pytest.fixture(scope="session")
def modem_lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Library that gives pseudo-terminals modem lines."""
    return build_modem_lines(tmp_path_factory.mktemp("modem-lines"))


@pytest.fixture(scope="session")
def desk() -> Iterator[Desk]:
    """USB sockets that programs see with `Desk.run`; skips where what it needs is missing."""
    if not os.environ.get("CI") and (lacking := _lacking()):
        pytest.skip(f"not installed: {', '.join(lacking)} (scripts/setup.sh installs them as root)")
    with Desk() as desk:
        yield desk


@pytest.fixture
def kit(desk: Desk) -> Iterator["Kit"]:
    """A kit whose chip is empty, plugged in."""
    from tests.testbeds.nrf52840 import Kit

    kit = Kit()
    kit.plug_into(desk)
    yield kit
    desk.clear()
    kit.close()

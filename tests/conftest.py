"""Options, tiers and skips shared by all tests."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.tiers import BUDGETS, Tiers

if TYPE_CHECKING:
    from edgeflow.data import Dataset

ROOT = Path(__file__).resolve().parent.parent
# Real data sets for development and CI; see their READMEs. Absent on a user's machine.
SHARED_DATA = Path(os.environ.get("EDGEFLOW_TEST_DATA", ROOT.parent / "shared" / "data"))


# Two workers on two cores: more threads wait for each other. Programs that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure(config: pytest.Config) -> None:
    for tier in BUDGETS:
        config.addinivalue_line("markers", f"{tier}: the tests of tests/{tier}")
    config.pluginmanager.register(Tiers(config))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    no_qemu = pytest.mark.skip(
        reason="qemu-system-arm or arm-none-eabi-gcc is missing: run 'edgeflow doctor'"
    )
    slow = pytest.mark.skip(reason="slow: run with --slow")
    have = shutil.which("qemu-system-arm") and shutil.which("arm-none-eabi-gcc")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.timeout(0) if config.getoption("--slow") else slow)
        # CI must not pass by skipping the boards
        if "board" in item.keywords and not have and not os.environ.get("CI"):
            item.add_marker(no_qemu)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the development data sets; skips where they are absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"development data not found at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def seglearn() -> "Dataset":
    """The data set of the demo: the development copy, else what the product itself fetches."""
    from edgeflow.data import load_dataset
    from edgeflow.errors import DataError

    if SHARED_DATA.is_dir():
        os.environ["EDGEFLOW_DATA"] = str(SHARED_DATA)
    try:
        return load_dataset("seglearn-watch")
    except DataError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def trained_gru(seglearn: "Dataset", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``model`` (a GRU trained for a few epochs on real data) and ``model.onnx``."""
    from edgeflow.compression.evaluate import compress_model
    from edgeflow.training import train

    folder = tmp_path_factory.mktemp("trained")
    train(seglearn, "gru", out=folder / "model", hidden=32, epochs=4)
    compress_model(folder / "model", seglearn).program.save(folder / "model.onnx")
    return folder

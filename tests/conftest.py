"""Options and skips shared by all tests."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Real data sets for development and CI; see their READMEs. Absent on a user's machine.
SHARED_DATA = Path(os.environ.get("EDGEFLOW_TEST_DATA", ROOT.parent / "shared" / "data"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    no_qemu = pytest.mark.skip(
        reason="qemu-system-arm or arm-none-eabi-gcc is missing: run 'edgeflow doctor'"
    )
    slow = pytest.mark.skip(reason="slow: run with --slow")
    have = shutil.which("qemu-system-arm") and shutil.which("arm-none-eabi-gcc")
    for item in items:
        if "slow" in item.keywords and not config.getoption("--slow"):
            item.add_marker(slow)
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
def trained_gru(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``model`` (a GRU trained for a few epochs on real data) and ``model.onnx``."""
    from edgeflow.compress.evaluate import compress_model
    from edgeflow.data import load_dataset
    from edgeflow.train import train

    folder = tmp_path_factory.mktemp("trained")
    dataset = load_dataset("seglearn-watch", root=shared_data)
    train(dataset, "gru", out=folder / "model", hidden=32, epochs=4)
    compress_model(folder / "model", dataset).program.save(folder / "model.onnx")
    return folder

"""Images are written to a boot loader's drive; a folder stands for it (tier: boards).

A thread does what the boot loader does: it takes the blocks and goes away with the last. Alone these
would catch a write to the drive of another board, and a board that stays in its boot loader and is
said to run the image.
"""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgeflow.device import uf2
from edgeflow.device.runners import find_runner
from edgeflow.device.runners import uf2 as runner_module
from edgeflow.errors import DeviceError, TargetError
from edgeflow.targets.board import load_board
from tests.hardware import board_file, tiny_elf

OPTIONS = '[runner.options.uf2]\nfamily = "rp2040"\nboard_id = "RPI-RP2"\n'


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return tiny_elf(tmp_path / "firmware.elf", {0x1000_0000: bytes(range(256)) * 20})


@pytest.fixture
def drives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    monkeypatch.setattr(uf2, "mounted_folders", lambda: sorted(folder.iterdir()))
    monkeypatch.setattr(runner_module, "_WAIT", 1.0)
    return folder


def plug_in(drives: Path, board_id: str = "RPI-RP2", name: str = "RPI-RP2") -> Path:
    drive = drives / name
    drive.mkdir()
    (drive / "INFO_UF2.TXT").write_text(f"UF2 Bootloader\nBoard-ID: {board_id}\n")
    return drive


@contextmanager
def boot_loader(drive: Path, *, change: bool = False, stay: bool = False) -> Iterator[dict]:
    """Take the blocks of a file and restart when all are there; yield the memory, by address."""
    memory: dict[int, bytes] = {}
    end = threading.Event()

    def serve() -> None:
        while not end.is_set():
            for file in drive.glob("*.uf2"):
                data = bytearray(file.read_bytes())
                blocks = uf2.read_uf2(bytes(data))
                if not blocks or len(blocks) < int.from_bytes(data[24:28], "little"):
                    continue
                memory.update(blocks)
                if change:
                    data[100] ^= 1
                    file.write_bytes(data)
                elif not stay:
                    shutil.rmtree(drive)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield memory
    finally:
        end.set()
        thread.join()


def flash(tmp_path: Path, image: Path, options: str = OPTIONS) -> None:
    find_runner("uf2", load_board(board_file(tmp_path, order=["uf2"], options=options))).flash(
        image
    )


def test_the_image_is_in_the_memory(tmp_path: Path, drives: Path, image: Path) -> None:
    plug_in(drives, "Other", "OTHER")
    drive = plug_in(drives)
    with boot_loader(drive) as memory:
        flash(tmp_path, image)
    assert not drive.exists() and not list((drives / "OTHER").glob("*.uf2"))
    whole = b"".join(memory[at] for at in sorted(memory))
    assert min(memory) == 0x1000_0000
    assert whole == (bytes(range(256)) * 20).ljust(8192, b"\xff")


def test_a_board_that_stays_in_its_boot_loader(tmp_path: Path, drives: Path, image: Path) -> None:
    with boot_loader(plug_in(drives), stay=True), pytest.raises(DeviceError) as error:
        flash(tmp_path, image)
    assert "the boot loader did not start the image" in str(error.value)


def test_blocks_that_changed_on_the_way(tmp_path: Path, drives: Path, image: Path) -> None:
    with boot_loader(plug_in(drives), change=True), pytest.raises(DeviceError) as error:
        flash(tmp_path, image)
    assert "uf2 could not flash own: verification failed" in str(error.value)


def test_no_drive_and_several(tmp_path: Path, drives: Path, image: Path) -> None:
    with pytest.raises(DeviceError, match="no mounted drive has Board-ID RPI-RP2: .*BOOTSEL"):
        flash(tmp_path, image)
    plug_in(drives, "Other", "OTHER")
    with pytest.raises(DeviceError, match=r"\(there is: Other\)"):
        flash(tmp_path, image)
    plug_in(drives, name="A")
    plug_in(drives, name="B")
    with pytest.raises(DeviceError, match="several drives fit .*/A, .*/B"):
        flash(tmp_path, image)


def test_a_family_that_is_not_known(tmp_path: Path, drives: Path, image: Path) -> None:
    with pytest.raises(
        TargetError, match=r"uf2.family: no UF2 family 'rp2041'; did you mean 'rp2040'"
    ):
        flash(tmp_path, image, OPTIONS.replace("rp2040", "rp2041"))

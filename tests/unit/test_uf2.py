"""UF2 files: every block, whatever the image's parts are (tier: unit).

Alone they would catch a block that boot loaders pass over, bytes at a wrong address, and a sector
that is written in part.
"""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeflow.device import uf2
from edgeflow.device.uf2 import FAMILIES, SECTOR, find_drives, read_uf2, write_uf2
from edgeflow.errors import DeviceError

RP2040 = FAMILIES["rp2040"]


@st.composite
def images(draw: st.DrawFn) -> list[tuple[int, bytes]]:
    """Parts that do not overlap, with gaps of any size, also none."""
    address = draw(st.integers(0, 3)) * 0x1000_0000 + draw(st.integers(0, 5000))
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        data = draw(st.binary(min_size=1, max_size=6000))
        parts.append((address, data))
        address += len(data) + draw(st.integers(0, 9000))
    return parts


@given(images())
def test_every_byte_is_at_its_address(parts: list[tuple[int, bytes]]) -> None:
    blocks = read_uf2(write_uf2(parts, RP2040))
    memory = {at + i: byte for at, data in blocks for i, byte in enumerate(data)}
    wanted = {at + i: byte for at, data in parts for i, byte in enumerate(data)}
    assert {at: memory.pop(at) for at in wanted} == wanted
    assert set(memory.values()) <= {0xFF}


@given(images(), st.sampled_from(sorted(FAMILIES.values())))
def test_blocks_are_as_the_format_says(parts: list[tuple[int, bytes]], family: int) -> None:
    file = write_uf2(parts, family)
    assert len(file) % 512 == 0
    count = len(file) // 512
    last = -1
    sectors: dict[int, int] = {}
    for number in range(count):
        block = file[512 * number : 512 * number + 512]
        first, second, flags, address, size, index, total, kind = struct.unpack_from("<8I", block)
        assert (first, second) == (0x0A324655, 0x9E5D5157)
        assert block[:4] == b"UF2\n" and block[508:] == struct.pack("<I", 0x0AB16F30)
        assert (flags, size, index, total, kind) == (0x2000, 256, number, count, family)
        assert not any(block[32 + 256 : 508])
        assert address % 256 == 0 and address > last
        last = address
        sectors[address // SECTOR] = sectors.get(address // SECTOR, 0) + 1
    assert set(sectors.values()) == {SECTOR // 256}  # boot ROMs erase whole ones


def test_what_is_no_block_is_passed_over() -> None:
    file = write_uf2([(0x1000_0000, b"abc")], RP2040)
    blocks = read_uf2(file)
    changed = bytearray(file)
    changed[0] ^= 1  # magic
    assert read_uf2(bytes(changed)) == blocks[1:]
    changed = bytearray(file)
    changed[8] |= 1  # not for the flash
    assert read_uf2(bytes(changed)) == blocks[1:]
    assert read_uf2(file[:-1]) == blocks[:-1]
    assert read_uf2(b"") == []


@pytest.mark.parametrize("parts", [[], [(0, b"")], [(0xFFFF_FFFF, b"ab")], [(-1, b"a")]])
def test_an_image_that_is_none(parts: list[tuple[int, bytes]]) -> None:
    with pytest.raises(DeviceError):
        write_uf2(parts, RP2040)


def test_drives_are_known_by_their_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {
        "pico": "UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n",
        "xiao": "UF2 Bootloader 0.6.1\nBoard-ID: Seeed_XIAO_nRF52840_Sense\n",
        "odd": "\x00\xff",
        "stick": None,
    }.items():
        (tmp_path / name).mkdir()
        if text is not None:
            (tmp_path / name / "INFO_UF2.TXT").write_text(text)
    folders = [*sorted(tmp_path.iterdir()), tmp_path / "gone"]
    monkeypatch.setattr(uf2, "mounted_folders", lambda: folders)
    found = {drive.folder.name: drive.board_id for drive in find_drives()}
    assert found == {"odd": "", "pico": "RPI-RP2", "xiao": "Seeed_XIAO_nRF52840_Sense"}

"""Images of real boards: what the chip finds in flash, checked on the ELF file and the binary."""

import zlib
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from edgeflow.codegen.build import Build, compile_program
from edgeflow.errors import TargetError
from edgeflow.resources import resource
from edgeflow.targets.board import BoardSpec, Region, list_boards, load_board
from edgeflow.targets.boot_crc import crc32_msb_first, put_boot_crc
from tests.random_programs import random_program

pytestmark = pytest.mark.board

BOARDS = [board.name for board in list_boards() if not board.runs_here]


@pytest.fixture(scope="module", params=BOARDS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """A model's image for each real board."""
    folder = tmp_path_factory.mktemp(request.param)
    program = random_program(1, 6, [32], 7, 12, 12)
    return compile_program(program, load_board(request.param), folder / "build")


def word(data: bytes, at: int = 0) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def inside(region: Region, start: int, size: int) -> bool:
    return region.base <= start and start + size <= region.base + region.size


def test_sections_are_where_they_are_read_and_stored(built: Build) -> None:
    board: BoardSpec = load_board(built.board)
    flash = board.memory["flash"]
    binary = built.elf.with_suffix(".bin").read_bytes()
    taken = bytearray(len(binary))
    with built.elf.open("rb") as file:
        elf = ELFFile(file)
        for section in elf.iter_sections():
            if section["sh_flags"] & 2 and section["sh_size"]:
                held = [
                    name
                    for name, region in board.memory.items()
                    if inside(region, section["sh_addr"], section["sh_size"])
                ]
                assert len(held) == 1, f"{section.name}: in {held}"
        for segment in elf.iter_segments("PT_LOAD"):
            data, at = segment.data(), segment["p_paddr"] - flash.base
            if not data:
                continue
            assert inside(flash, segment["p_paddr"], len(data))
            # the binary starts at the flash's first address, which is what tools write it to
            assert binary[at : at + len(data)] == data
            assert not any(taken[at : at + len(data)]), "two things at one place of the flash"
            taken[at : at + len(data)] = b"\1" * len(data)
        assert inside(flash, elf["e_entry"] & ~1, 2)
    assert taken[0] and taken[-1]


def test_what_the_chip_starts_with(built: Build) -> None:
    """Cortex-M: the initial stack pointer and the reset vector."""
    board = load_board(built.board)
    if board.core.disassembler != "thumb":
        pytest.skip("no vector table")
    flash, ram = board.memory["flash"], board.memory["ram"]
    binary = built.elf.with_suffix(".bin").read_bytes()
    table = 256 if board.soc is not None and board.soc.name == "rp2040" else 0
    assert word(binary, table) == ram.base + ram.size
    reset = word(binary, table + 4)
    assert reset & 1 and inside(flash, reset & ~1, 2)
    with built.elf.open("rb") as file:
        elf = ELFFile(file)
        assert elf["e_entry"] == reset
        vectors = elf.get_section_by_name(".vectors")
        assert vectors["sh_addr"] == flash.base + table and vectors["sh_addr"] % 128 == 0
    handlers = [word(binary, table + 4 * n) for n in range(2, 7)]
    assert all(handler & 1 and inside(flash, handler & ~1, 2) for handler in handlers)


def reflected(value: int, bits: int) -> int:
    return int(f"{value:0{bits}b}"[::-1], 2)


def test_second_stage_of_the_rp2040_has_its_crc(built: Build) -> None:
    """By zlib's CRC, which takes the bits the other way round: the ROM refuses another."""
    if built.board != "rpi-pico":
        pytest.skip("no second stage")
    boot = built.elf.with_suffix(".bin").read_bytes()[:256]
    backwards = zlib.crc32(bytes(reflected(byte, 8) for byte in boot[:252]))
    assert word(boot, 252) == reflected(backwards ^ 0xFFFFFFFF, 32) != 0
    assert crc32_msb_first(b"123456789") == 0x0376E6E7  # CRC-32/MPEG-2 in catalogues of CRCs


def test_crc_needs_its_block(built: Build) -> None:
    with pytest.raises(TargetError, match=r"section \.boot has \d+ bytes; boot_crc_bytes asks"):
        put_boot_crc(built.elf, 300)


def test_direct_boot_of_the_esp32c3(built: Build) -> None:
    """The ROM's number; code for the instruction bus; all that is loaded from is in RAM."""
    if built.board != "esp32c3-devkit":
        pytest.skip("no direct boot")
    binary = built.elf.with_suffix(".bin").read_bytes()
    assert binary[:8] == bytes.fromhex("1d04dbae1d04dbae")
    assert len(binary) <= 4 << 20  # what the ROM maps
    with built.elf.open("rb") as file:
        elf = ELFFile(file)
        assert elf["e_entry"] == 0x42000008
        names = {s.name: s["st_value"] for s in elf.get_section_by_name(".symtab").iter_symbols()}
        for section in elf.iter_sections():
            in_flash = section["sh_flags"] & 2 and section["sh_addr"] >> 24 == 0x42
            if in_flash and section.name != ".boot":
                assert section["sh_flags"] & 4, f"{section.name}: constants by the instruction bus"
    # the table of copies, and what they read, as the data bus sees the flash
    assert names["__copies_start"] >> 24 == names["__copies_end"] >> 24 == 0x3C
    at = names["__copies_start"] - 0x3C000000
    for _ in range((names["__copies_end"] - names["__copies_start"]) // 12):
        source, start, end = (word(binary, at + 4 * n) for n in range(3))
        assert source >= 0x3C000000 and source + end - start <= 0x3C000000 + len(binary)
        at += 12


def test_what_the_esp32c3_cannot_do_is_refused(tmp_path: Path) -> None:
    board, program = load_board("esp32c3-devkit"), random_program(1, 3, [5], 4, 12, 12)
    with pytest.raises(TargetError, match="the ESP32-C3 has weights in ram"):
        compile_program(program, board.placed(weights="flash"), tmp_path / "a")
    with pytest.raises(TargetError, match="the ESP32-C3 has kernels in flash"):
        compile_program(program, board.placed(kernels="ram"), tmp_path / "b")


def test_a_clock_that_the_start_up_code_does_not_know_is_refused(tmp_path: Path) -> None:
    """One line, which says what is known."""
    text = (resource("targets") / "nucleo-h743zi.toml").read_text()
    (tmp_path / "fast.toml").write_text(text.replace("= 400_000_000", "= 480_000_000"))
    with pytest.raises(TargetError, match="known are clock_hz = 400_000_000") as error:
        compile_program(
            random_program(1, 3, [5], 4, 12, 12), load_board(tmp_path / "fast.toml"), tmp_path / "b"
        )
    assert "\n" not in str(error.value)

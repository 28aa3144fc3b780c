"""Board files of real boards, and images for them, as tests of flash tools need them."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

BOARD = """description = "a board"
core = "cortex-m4"
soc = "cortexm"
clock_hz = 25_000_000
stack = "16K"
[memory.flash]
base = 0
size = "4M"
[memory.ram]
base = 0x2000_0000
size = "4M"
[uart]
driver = "cmsdk"
base = 0x4000_4000
irq = 0
fifo = false
"""


def board_file(
    folder: Path, *, name: str = "own", order: Sequence[str] = ("openocd",), usb: Sequence[str] = (),
    options: str = "",
) -> Path:  # fmt: skip
    """Write the file of a real board that is like QEMU's MPS2 AN386; return its path."""
    path = folder / f"{name}.toml"
    runner = f'[runner]\nkind = "hardware"\norder = {list(order)}\nusb = {list(usb)}\n'
    path.write_text(BOARD + runner + options)
    return path


def tiny_elf(path: Path, parts: Mapping[int, bytes]) -> Path:
    """Write an ELF file of nothing but segments, by address; return its path."""
    offset = 52 + 32 * len(parts)
    headers, data = b"", b""
    for address, content in parts.items():
        place = offset + len(data)
        sizes = (len(content), len(content), 5, 4)
        headers += struct.pack("<8I", 1, place, address, address, *sizes)
        data += content
    ident = b"\x7fELF" + bytes([1, 1, 1]) + bytes(9)
    sizes = (52, 32, len(parts), 40, 0, 0)
    head = struct.pack("<HHIIIII6H", 2, 40, 1, min(parts, default=0), 52, 0, 0, *sizes)
    path.write_bytes(ident + head + headers + data)
    return path

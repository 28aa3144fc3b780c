"""UF2 files and the drives that boot loaders show for them.

A file is blocks of 512 bytes, each with 256 bytes of the image, their address, and how many blocks
there are (Microsoft, "USB Flashing Format (UF2)", github.com/microsoft/uf2).
"""

import re
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeflow.errors import DeviceError

BLOCK, PAYLOAD = 512, 256
#: Erased at once by the boot loaders; a sector of which one page is written is written whole, as
#: boot ROMs may leave the rest of it undefined.
SECTOR = 4096
_MAGIC = (0x0A324655, 0x9E5D5157, 0x0AB16F30)
_NOT_FLASH, _FAMILY_PRESENT = 0x00000001, 0x00002000
_HEADER = struct.Struct("<8I")
#: Chips by name (github.com/microsoft/uf2, utils/uf2families.json).
FAMILIES = {
    "rp2040": 0xE48BFF56,
    "rp2350-arm-s": 0xE48BFF59,
    "rp2350-riscv": 0xE48BFF5A,
    "nrf52": 0x1B57745F,
    "nrf52833": 0x621E937A,
    "nrf52840": 0xADA52840,
    "samd21": 0x68ED2B88,
    "samd51": 0x55114460,
    "stm32f4": 0x57755A57,
}


@dataclass(frozen=True)
class Drive:
    """The drive of a boot loader.

    Attributes
    ----------
    folder
        Where it is mounted.
    board_id
        What its ``INFO_UF2.TXT`` says of the board.
    """

    folder: Path
    board_id: str


def write_uf2(parts: Iterable[tuple[int, bytes]], family: int) -> bytes:
    """Return the UF2 file of an image.

    Parameters
    ----------
    parts : iterable of (int, bytes)
        Address and content of each part of the image, which do not overlap.
    family : int
        Number of the chip, one of `FAMILIES`.

    Returns
    -------
    bytes
        Blocks by rising address, whole sectors of 4 KB; what the image leaves out is 0xFF.

    Raises
    ------
    DeviceError
        If nothing is in it, or an address is no 32-bit one.
    """
    sectors: dict[int, bytearray] = {}
    for address, data in parts:
        if address < 0 or address + len(data) > 1 << 32:
            raise DeviceError(f"0x{address:x}: no address of a UF2 file")
        done = 0
        while done < len(data):
            at = address + done
            sector = sectors.setdefault(at - at % SECTOR, bytearray(b"\xff" * SECTOR))
            piece = data[done : done + SECTOR - at % SECTOR]
            sector[at % SECTOR : at % SECTOR + len(piece)] = piece
            done += len(piece)
    if not sectors:
        raise DeviceError("an image without content: compile again")
    pages = [
        (base + offset, bytes(sector[offset : offset + PAYLOAD]))
        for base, sector in sorted(sectors.items())
        for offset in range(0, SECTOR, PAYLOAD)
    ]
    return b"".join(
        _HEADER.pack(
            *_MAGIC[:2], _FAMILY_PRESENT, address, PAYLOAD, number, len(pages), family
        ) + page.ljust(BLOCK - _HEADER.size - 4, b"\0") + struct.pack("<I", _MAGIC[2])
        for number, (address, page) in enumerate(pages)
    )  # fmt: skip


def read_uf2(data: bytes) -> list[tuple[int, bytes]]:
    """Return address and content of the blocks of a UF2 file.

    Blocks that are not for the flash, and what is no block, are left out, as boot loaders do.
    """
    found = []
    for start in range(0, len(data) - BLOCK + 1, BLOCK):
        block = data[start : start + BLOCK]
        first, second, flags, address, size, *_ = _HEADER.unpack_from(block)
        (last,) = struct.unpack_from("<I", block, BLOCK - 4)
        if (first, second, last) == _MAGIC and not flags & _NOT_FLASH and size <= 476:
            found.append((address, block[_HEADER.size : _HEADER.size + size]))
    return found


def mounted_folders() -> Iterator[Path]:
    """Yield the folders where drives are mounted, on Linux, macOS and Windows."""
    if sys.platform == "win32":
        yield from (Path(f"{letter}:/") for letter in "DEFGHIJKLMNOPQRSTUVWXYZ")
        return
    try:
        lines = Path("/proc/mounts").read_text(errors="replace").splitlines()
    except OSError:
        yield from Path("/Volumes").glob("*")
        return
    for line in lines:
        # blanks in names are octal escapes
        folder, kind = line.split()[1:3]
        if kind in ("vfat", "msdos", "fuseblk", "exfat") or folder.startswith(("/media/", "/run/")):
            yield Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), folder))


def find_drives() -> list[Drive]:
    """Return the drives of boot loaders that are mounted."""
    found = []
    for folder in mounted_folders():
        try:
            text = (folder / "INFO_UF2.TXT").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        match = re.search(r"^Board-ID:\s*(\S+)", text, re.MULTILINE)
        found.append(Drive(folder, match[1] if match else ""))
    return found

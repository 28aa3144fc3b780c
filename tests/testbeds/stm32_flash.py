"""STM32 chips and their flash, as its boot loaders see it."""

import mmap
from dataclasses import dataclass
from pathlib import Path

K = 1024
FLASH = 0x0800_0000


@dataclass(frozen=True)
class Chip:
    """An STM32: product id (AN2606), sizes of the flash's sectors, bytes that one write is of."""

    device_id: int
    sectors: tuple[int, ...]
    grain: int

    def sector(self, number: int) -> slice:
        """Return where a sector is in the flash."""
        start = sum(self.sectors[:number])
        return slice(start, start + self.sectors[number])


F405 = Chip(0x413, (16 * K,) * 4 + (64 * K,) + (128 * K,) * 7, 4)
L4R5 = Chip(0x470, (4 * K,) * 512, 8)


class Flash:
    """NOR flash in a file: erasing sets bits by sectors, writing clears them once.

    Parameters
    ----------
    path : Path
        Several processes may share it; it stays when the power goes.
    chip : Chip

    Attributes
    ----------
    bytes
        What it holds.
    bad
        Offset of a cell that stores something else than what is written.
    complaints
        What a chip would not have done as asked.
    """

    def __init__(self, path: Path, chip: Chip) -> None:
        self.chip = chip
        if not path.exists():
            path.write_bytes(b"\xff" * sum(chip.sectors))
        with path.open("r+b") as file:
            self.bytes = mmap.mmap(file.fileno(), 0)
        self.bad: int | None = None
        self.complaints: list[str] = []

    def erase(self, number: int) -> bool:
        """Erase a sector; False if there is none of that number."""
        if number >= len(self.chip.sectors):
            return False
        place = self.chip.sector(number)
        self.bytes[place] = b"\xff" * (place.stop - place.start)
        return True

    def sector_at(self, offset: int) -> int | None:
        """Return the number of the sector that begins at an offset."""
        starts = [self.chip.sector(k).start for k in range(len(self.chip.sectors))]
        return starts.index(offset) if offset in starts else None

    def erase_all(self) -> None:
        self.bytes[:] = b"\xff" * len(self.bytes)

    def write(self, offset: int, data: bytes) -> bool:
        """Write erased cells; False if they are not erased, or the place is not aligned."""
        place = slice(offset, offset + len(data))
        if offset % self.chip.grain or len(data) % self.chip.grain:
            self.complaints.append(f"write of {len(data)} bytes at {offset:#x} is not aligned")
            return False
        if place.stop > len(self.bytes) or any(byte != 0xFF for byte in self.bytes[place]):
            self.complaints.append(f"write of cells that are not erased at {offset:#x}")
            return False
        self.bytes[place] = data
        if self.bad is not None and place.start <= self.bad < place.stop:
            self.bytes[self.bad] ^= 0x10
        return True

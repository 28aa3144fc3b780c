"""CRC of the block that a boot ROM checks before it starts what is in flash."""

from pathlib import Path

from elftools.elf.elffile import ELFFile

from edgeflow.errors import TargetError


def crc32_msb_first(data: bytes) -> int:
    """Return the CRC-32 with polynomial 0x04C11DB7, most significant bit first, from all ones.

    As the ROM of the RP2040 computes it (RP2040 data sheet, 2.8.1.3.1).
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x04C11DB7 if crc & 0x80000000 else 0)
            crc &= 0xFFFFFFFF
    return crc


def put_boot_crc(elf: Path, size: int) -> None:
    """Write the CRC of the first `size` bytes of the section ``.boot`` into the four behind them.

    Raises
    ------
    TargetError
        If the section has not `size` bytes and four more.
    """
    with elf.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".boot")
        held = 0 if section is None else section["sh_size"]
        if section is None or held != size + 4:
            raise TargetError(
                f"{elf.name}: section .boot has {held} bytes; boot_crc_bytes asks for {size + 4}"
            )
        offset, data = section["sh_offset"], section.data()
    with elf.open("r+b") as file:
        file.seek(offset + size)
        file.write(crc32_msb_first(data[:size]).to_bytes(4, "little"))

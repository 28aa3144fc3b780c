"""The content of a firmware image, for the profiler: instruction set, code, symbols, sections."""

import bisect
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from edgeflow.errors import EdgeFlowError

_ISA = {
    "EM_ARM": "thumb",
    "EM_RISCV": "riscv32",
    "EM_AARCH64": "aarch64",
    "EM_X86_64": "x86_64",
    "EM_AVR": "avr",
}
_WRITE, _ALLOC, _EXECUTE = 1, 2, 4


@dataclass(frozen=True)
class Section:
    """A section that takes memory on the board."""

    name: str
    address: int
    size: int
    data: bytes  # empty where the section has no contents (.bss)
    executable: bool
    writable: bool
    copied: bool = False  # stored at another address than it is used at
    offset: int = 0  # in the file

    @property
    def end(self) -> int:
        """First address behind the section."""
        return self.address + self.size


@dataclass(frozen=True)
class Symbol:
    """A function or object; `address` without the Thumb bit."""

    name: str
    address: int
    size: int
    kind: str  # STT_FUNC, STT_OBJECT, STT_NOTYPE
    source: str = ""  # name of the source file of a local symbol


def compiler_of(path: str | Path) -> str | None:
    """Return the compiler of an object file, such as ``GCC 12.2.1``; None if it names none.

    Raises
    ------
    EdgeFlowError
        If it is not an ELF file or is damaged.
    """
    try:
        with Path(path).open("rb") as file:
            section = ELFFile(file).get_section_by_name(".comment")
            text = "" if section is None else section.data().decode(errors="replace")
    except (ELFError, OSError) as error:
        raise EdgeFlowError(f"{path}: cannot be read as an object file: compile again") from error
    name = text.strip("\0").split("\0")[0]
    # GCC: (15:12.2.rel1-1) 12.2.1 20221205
    gnu = re.match(r"GCC: \(.*\) (\d[\w.]*)", name)
    return f"GCC {gnu[1]}" if gnu else name or None


def undefined_symbols(path: str | Path) -> set[str]:
    """Return the names that an object file leaves to others.

    Raises
    ------
    EdgeFlowError
        If it is not an ELF file or is damaged.
    """
    try:
        with Path(path).open("rb") as file:
            tables = ELFFile(file).iter_sections()
            symbols = [t.iter_symbols() for t in tables if isinstance(t, SymbolTableSection)]
            return {
                symbol.name
                for table in symbols
                for symbol in table
                if symbol["st_shndx"] == "SHN_UNDEF" and symbol.name
            }
    except (ELFError, OSError) as error:
        raise EdgeFlowError(f"{path}: cannot be read as an object file: compile again") from error


class Image:
    """A linked ELF file.

    Raises
    ------
    EdgeFlowError
        If the file is not an ELF file or is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            with self.path.open("rb") as file:
                elf = ELFFile(file)
                self.machine: str = elf["e_machine"]
                self.fixed_address: bool = elf["e_type"] == "ET_EXEC"
                moved = [
                    (segment["p_vaddr"], segment["p_vaddr"] + segment["p_memsz"])
                    for segment in elf.iter_segments("PT_LOAD")
                    if segment["p_vaddr"] != segment["p_paddr"]
                ]
                self.sections = [
                    Section(
                        name=section.name,
                        address=section["sh_addr"],
                        size=section["sh_size"],
                        data=b"" if section["sh_type"] == "SHT_NOBITS" else section.data(),
                        executable=bool(section["sh_flags"] & _EXECUTE),
                        writable=bool(section["sh_flags"] & _WRITE),
                        offset=section["sh_offset"],
                        copied=any(low <= section["sh_addr"] < high for low, high in moved),
                    )
                    for section in elf.iter_sections()
                    if section["sh_flags"] & _ALLOC and section["sh_size"] > 0
                ]
                self.symbols: list[Symbol] = []
                self._marks: list[tuple[int, str]] = []
                for table in elf.iter_sections():
                    if isinstance(table, SymbolTableSection):
                        self._read_symbols(table)
        except (ELFError, OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "damaged"
            raise EdgeFlowError(
                f"{self.path}: cannot be read as an ELF image ({reason}): compile again"
            ) from error

    def _read_symbols(self, table: SymbolTableSection) -> None:
        thumb = self.machine == "EM_ARM"
        source = ""
        for symbol in table.iter_symbols():
            if symbol["st_info"]["type"] == "STT_FILE":
                source = symbol.name  # of the local symbols that follow
            if not isinstance(symbol["st_shndx"], int):
                continue  # undefined or absolute
            address = symbol["st_value"]
            if symbol.name[:2] in ("$t", "$a", "$x", "$d"):
                self._marks.append((address, symbol.name[:2]))
                continue
            kind = symbol["st_info"]["type"]
            if thumb and kind == "STT_FUNC":
                address &= ~1
            if symbol.name and kind in ("STT_FUNC", "STT_OBJECT", "STT_NOTYPE"):
                local = symbol["st_info"]["bind"] == "STB_LOCAL"
                self.symbols.append(
                    Symbol(symbol.name, address, symbol["st_size"], kind, source if local else "")
                )

    def file_offset(self, address: int) -> int:
        """Return where in the file what is at an address is.

        Raises
        ------
        EdgeFlowError
            If no section with contents has it.
        """
        for section in self.sections:
            if section.data and section.address <= address < section.end:
                return section.offset + address - section.address
        raise EdgeFlowError(f"{self.path}: nothing at {address:#x}: compile again")

    @property
    def isa(self) -> str:
        """``thumb``, ``riscv32``, ``aarch64``, ``x86_64`` or ELF's name of another machine."""
        return _ISA.get(self.machine, self.machine)

    @cached_property
    def by_name(self) -> dict[str, Symbol]:
        """The symbols by name; of several with one name, the first."""
        result: dict[str, Symbol] = {}
        for symbol in self.symbols:
            result.setdefault(symbol.name, symbol)
        return result

    def code(self) -> list[tuple[int, bytes]]:
        """Return the address and the bytes of each stretch of instructions.

        Arm's mapping symbols ($t, $x, $d) part instructions from the literals between them.
        """
        # without mapping symbols, start anew at each function: a table may precede it
        functions = [(s.address, "$x") for s in self.symbols if s.kind == "STT_FUNC"]
        marks = sorted(self._marks or set(functions))
        addresses = [address for address, _ in marks]
        stretches = []
        for section in self.sections:
            if not section.executable or not section.data:
                continue
            first = bisect.bisect_left(addresses, section.address)
            last = bisect.bisect_left(addresses, section.end)
            inner = marks[first:last] or [(section.address, "$x")]
            if inner[0][0] > section.address:
                inner.insert(0, (section.address, "$x"))
            for (start, kind), (end, _) in zip(inner, [*inner[1:], (section.end, "")], strict=True):
                if kind != "$d" and end > start:
                    data = section.data[start - section.address : end - section.address]
                    stretches.append((start, data))
        return stretches

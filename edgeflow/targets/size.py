"""Flash and RAM of an image, by use."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from edgeflow.digest import sealed_json
from edgeflow.errors import EdgeFlowError
from edgeflow.files import write_atomic
from edgeflow.targets.elf import Image, Section, Symbol

FLASH_PARTS = ("weights", "tables", "kernels", "model_code", "runtime")
RAM_PARTS = ("weights", "tables", "kernels", "model_code", "model", "runtime", "stack")
#: What start-up code may copy out of the flash.
COPIED_PARTS = ("weights", "tables", "kernels", "model_code")
CODE_PARTS = ("kernels", "model", "runtime", "protocol", "hal", "library")

# A library of a name has it before those of its tables.
_TABLE = re.compile(r"(\w+_)?ef_table_")
# Reserved, not used: the stack counts with its high-water mark.
_RESERVED = (".stack", ".heap")


@dataclass(frozen=True)
class SizeReport:
    """Bytes of an image; the parts add up to the totals.

    Attributes
    ----------
    flash_bytes
        All that is stored: code, constants and the initial values of variables.
    ram_bytes
        Variables and, where it is known, the most stack that was used.
    stack_bytes
        High-water mark of the stack; None until it was measured.
    flash
        ``weights`` (constants of the model), ``tables``, ``kernels``, ``model_code``, and
        ``runtime``: protocol, HAL, start-up, C library, padding.
    ram
        ``model`` (state and scratch), ``runtime``, ``stack``; and what start-up code copies out of
        the flash: ``weights``, ``tables``, ``kernels``, ``model_code``.
    code
        Bytes of the functions, by what they are of: ``kernels``, ``model`` (``model.c``),
        ``runtime``, ``protocol``, ``hal`` (with the start-up code) and ``library`` (the C
        library). Constants, strings and padding are not in it.
    """

    flash_bytes: int
    ram_bytes: int
    stack_bytes: int | None
    flash: dict[str, int] = field(default_factory=dict)
    ram: dict[str, int] = field(default_factory=dict)
    code: dict[str, int] = field(default_factory=dict)

    def with_stack(self, stack_bytes: int | None) -> "SizeReport":
        """Return the report with a measured high-water mark (0 or None: unknown)."""
        static = self.ram_bytes - self.ram.get("stack", 0)
        used = stack_bytes or 0
        return dataclasses.replace(
            self,
            ram_bytes=static + used,
            stack_bytes=stack_bytes or None,
            ram={**self.ram, "stack": used},
        )

    def __post_init__(self) -> None:
        counts = [self.flash_bytes, self.ram_bytes]
        counts += [] if self.stack_bytes is None else [self.stack_bytes]
        for parts in (self.flash, self.ram, self.code):
            if not isinstance(parts, dict):
                raise TypeError("parts must be bytes by name")
            counts += parts.values()
        if any(
            not isinstance(count, int) or isinstance(count, bool) or count < 0 for count in counts
        ):
            raise TypeError("sizes must be whole numbers of bytes")
        if self.ram.get("stack", 0) > self.ram_bytes:
            raise ValueError("more stack than RAM")

    def save(self, path: str | Path) -> None:
        """Write ``size.json``."""
        write_atomic(path, sealed_json(dataclasses.asdict(self), 2))


def measure_size(elf: str | Path, objects_dir: str | Path) -> SizeReport:
    """Measure a linked image.

    Parameters
    ----------
    elf
        The linked image, not stripped.
    objects_dir
        Its object files: ``model/*.o``, ``kernels/*.o``, and the others in any other folder;
        those in ``runtime``, ``protocol`` and ``hal`` are told apart in `SizeReport.code`.

    Returns
    -------
    SizeReport
        The stack is not known yet: see :meth:`SizeReport.with_stack`.

    Raises
    ------
    EdgeFlowError
        If a file is missing or damaged, or ``objects_dir`` has no objects.
    """
    owners = _Owners(Path(objects_dir))
    image = Image(elf)
    flash = dict.fromkeys(FLASH_PARTS, 0)
    ram = dict.fromkeys(RAM_PARTS, 0)
    code = dict.fromkeys(CODE_PARTS, 0)
    symbols = sorted(
        (s for s in image.symbols if s.size > 0 and s.kind != "STT_NOTYPE"),
        key=lambda s: s.address,
    )
    for section in image.sections:
        if section.name in _RESERVED:
            continue
        inner = [s for s in symbols if section.address <= s.address < section.end]
        if section.data:
            part_of = partial(owners.flash_part, writable=section.writable)
            _add(flash, section, inner, part_of)
            if section.copied and not section.writable:
                _add(ram, section, inner, part_of)
        if section.writable:
            _add(ram, section, inner, owners.ram_part)
    for address, symbol in {s.address: s for s in symbols if s.kind == "STT_FUNC"}.items():
        if any(s.address <= address < s.end for s in image.sections if s.executable):
            code[owners.code_part(symbol)] += symbol.size
    return SizeReport(sum(flash.values()), sum(ram.values()), None, flash, ram, code)


def layer_bytes(elf: str | Path, layers: Sequence[str], source: str = "model.c") -> dict[str, int]:
    """Return the bytes of each layer in ``weights`` of `SizeReport.flash`.

    Parameters
    ----------
    elf
        The linked image of a generated library, not stripped.
    layers
        Names, with which the names of a layer's constants begin.
    source
        Name of the generated source with the program's constants.

    Raises
    ------
    EdgeFlowError
        If the file is missing or damaged.
    """
    image = Image(elf)
    constant = [section for section in image.sections if not section.writable]
    sizes = dict.fromkeys(layers, 0)
    for symbol in image.symbols:
        owners = [name for name in layers if symbol.name.startswith(f"{name}_")]
        ours = symbol.kind == "STT_OBJECT" and Path(symbol.source).name == source
        if owners and ours and any(s.address <= symbol.address < s.end for s in constant):
            sizes[max(owners, key=len)] += symbol.size
    return sizes


def _add(
    parts: dict[str, int],
    section: Section,
    symbols: list[Symbol],
    part_of: Callable[[Symbol], str],
) -> None:
    """Share out the bytes of a section; what no symbol covers is the runtime's."""
    at = section.address
    for symbol in symbols:
        start = max(symbol.address, at)
        end = min(symbol.address + symbol.size, section.end)
        if end > start:  # else a second name of bytes that were counted
            parts["runtime"] += start - at
            parts[part_of(symbol)] += end - start
            at = end
    parts["runtime"] += section.end - at


class _Owners:
    """The object file that defines each symbol."""

    def __init__(self, folder: Path) -> None:
        self._globals: dict[str, str] = {}
        self._locals: dict[tuple[str, str], str] = {}
        objects = sorted(folder.rglob("*.o"))
        if not objects:
            raise EdgeFlowError(f"{folder}: no object files in it: compile again")
        for path in objects:
            group = path.relative_to(folder).parts[0]
            for symbol in Image(path).symbols:
                if symbol.source:
                    self._locals[Path(symbol.source).name, symbol.name] = group
                else:
                    self._globals.setdefault(symbol.name, group)

    def _group(self, symbol: Symbol, unknown: str = "runtime") -> str:
        if symbol.source:
            return self._locals.get((Path(symbol.source).name, symbol.name), unknown)
        return self._globals.get(symbol.name, unknown)

    def code_part(self, symbol: Symbol) -> str:
        """Return the part of the code that a function belongs to."""
        group = self._group(symbol, "library")
        return group if group in CODE_PARTS else "library"

    def flash_part(self, symbol: Symbol, writable: bool) -> str:
        """Return the part of the flash that a symbol belongs to."""
        if _TABLE.match(symbol.name):
            return "tables"
        group = self._group(symbol)
        if group == "kernels":
            return "kernels"
        if group == "model":
            if symbol.kind == "STT_FUNC":
                return "model_code"
            return "runtime" if writable or symbol.name.startswith("ef_") else "weights"
        return "runtime"

    def ram_part(self, symbol: Symbol) -> str:
        """Return the part of the RAM that a symbol belongs to."""
        # model_t belongs to the caller: the firmware's instance is called `model`
        in_model = self._group(symbol) in ("model", "kernels")
        return "model" if in_model or symbol.name == "model" else "runtime"

"""Compiling and linking firmware for a board.

The same sources and flags give the same bits, on any machine with the same compiler.
"""

import hashlib
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

from edgeflow.errors import TargetError
from edgeflow.files import atomic_path, scratch_folder
from edgeflow.resources import resource
from edgeflow.targets.board import BoardSpec, drivers
from edgeflow.targets.boot_crc import put_boot_crc
from edgeflow.targets.core import CoreSpec
from edgeflow.targets.objects import fetch, object_key, store
from edgeflow.targets.pins import pin_number
from edgeflow.targets.room import board_uses, no_room
from edgeflow.targets.slots import SLOTS, slot_defines
from edgeflow.targets.soc import soc_files, soc_settings
from edgeflow.targets.tools import find_tool

_COMPILE_FLAGS = (
    "-std=c99", "-ffunction-sections", "-fdata-sections", "-fno-common",
    "-Wall", "-Wextra", "-Wconversion", "-Werror",
    # the bits of a result must not depend on the core
    "-ffp-contract=off",
)  # fmt: skip


#: Sources of a SoC that are no part of the HAL.
_START_UP = ("boot.S", "start.S", "start.c")
#: Sources of a SoC that all boards with it have: no drivers, of which a board has those it names.
_OF_SOC = re.compile(r"ef_hal_(?!uart_|gpio_)\w+\.c", re.ASCII)


def board_sources(board: BoardSpec) -> list[Path]:
    """Return the HAL and start-up sources of a board, in the order to link them."""
    hal = resource("firmware") / "hal"
    if board.soc is None or board.uart is None:
        return [hal / "ef_hal_stdio.c"]
    files = soc_files(board.soc)
    start_up = [file for name, file in sorted(files.items()) if name in _START_UP]
    of_soc = [file for name, file in sorted(files.items()) if _OF_SOC.fullmatch(name)]
    chosen = [drivers("uart", board.soc)[board.uart.driver]]
    if board.gpio is not None:
        chosen.append(drivers("gpio", board.soc)[board.gpio.driver])
    return [*start_up, *of_soc, *chosen, hal / "ef_hal_bare.c"]


def board_include_dirs() -> list[Path]:
    """Return the include folders that `board_sources` needs."""
    return [resource("firmware") / "hal", resource("firmware") / "kernels"]


def board_defines(board: BoardSpec) -> dict[str, str]:
    """Return the macros that `board_sources` needs."""
    defines = {"EF_BOARD_NAME": f'"{board.name}"'}
    if board.emulated:
        defines["EF_EMULATED"] = "1"
    if board.uart is not None:
        defines |= {
            "EF_UART_BASE": f"0x{board.uart.base:08x}u",
            "EF_UART_IRQ": f"{board.uart.irq}u",
            "EF_UART_BAUD": f"{board.uart.baud}u",
            "EF_UART_CLOCK_HZ": f"{board.uart.clock_hz or board.clock_hz}u",
            "EF_CLOCK_HZ": f"{board.clock_hz or 0}u",
        }
        pins = {"EF_UART_TX": board.uart.tx, "EF_UART_RX": board.uart.rx}
        defines |= {key: f"{pin_number(pin)}u" for key, pin in pins.items() if pin is not None}
        if board.uart.af is not None:
            defines["EF_UART_AF"] = f"{board.uart.af}u"
    if board.gpio is not None:
        defines["EF_GPIO_BASE"] = f"0x{board.gpio.base:08x}u"
        marks = {"PIN": board.gpio.pin, "MARKER": board.gpio.marker, "LAYERS": board.gpio.layers}
        defines |= {
            f"EF_GPIO_{key}": f"{pin_number(pin)}u" for key, pin in marks.items() if pin is not None
        }
    return defines | slot_defines(board)


def compile_sources(
    core: CoreSpec,
    sources: Iterable[Path],
    objects_dir: Path,
    *,
    include_dirs: Iterable[Path] = (),
    defines: Mapping[str, str] | None = None,
    extra_flags: Sequence[str] = (),
) -> list[Path]:
    """Compile C and assembler sources, an object file each.

    Parameters
    ----------
    core
        Board to compile for.
    sources
        ``.c`` and ``.S`` files.
    objects_dir
        Created if need be. An object is named after its source; the name of the source's folder
        goes before it where two sources share a name.
    include_dirs, defines
        ``-I`` and ``-D``.
    extra_flags
        Such as ``-O2``; they come last and so win.

    Returns
    -------
    list of Path
        The objects, in the order of `sources`.

    Raises
    ------
    ToolMissingError
        No compiler; the message has the command that installs it.
    TargetError
        A source that does not compile (with the first error), or a compiler that does not target
        the core as the core's file requires.
    """
    compiler = find_tool(core.compiler)
    defined = _predefined(compiler, core.name, core.flags)
    _check_macros(core, defined)
    prefix_map = _prefix_map(defined)
    objects_dir.mkdir(parents=True, exist_ok=True)
    sources = list(sources)
    shared = Counter(source.stem for source in sources)
    include_dirs = list(include_dirs)
    macros = [f"-D{name}={value}" for name, value in (defines or {}).items()]
    flags = [*_COMPILE_FLAGS, *_core_flags(core), *macros, *extra_flags]
    folders = [f"-I{folder}" for folder in include_dirs]
    objects: list[Path] = []
    for source in sources:
        stem = source.stem if shared[source.stem] == 1 else f"{source.parent.name}_{source.stem}"
        target = objects_dir / f"{stem}.o"
        if target in objects:
            raise TargetError(f"{source}: another source would also become {target.name}")
        # __FILE__ and debug information must not tell where the tree stands
        place = f"{prefix_map}={source.parent}=."
        key = object_key(compiler, flags, source, include_dirs)
        if not fetch(key, target):
            command = [compiler, *flags, *folders, place, "-c", _path(source), "-o", str(target)]
            _run(command, core.name)
            store(key, target)
        objects.append(target)
    return objects


def link(board: BoardSpec, objects: Iterable[Path], elf: Path) -> Path:
    """Link objects into an executable at fixed addresses.

    Raises
    ------
    ToolMissingError
        No compiler.
    TargetError
        A missing symbol.
    NoRoomError
        An image that does not fit the board's memories.
    """
    core = board.core
    command = [find_tool(core.compiler), *_core_flags(core), *core.link_flags]
    command += ["-static", "-Wl,--gc-sections", "-Wl,--build-id=none"]
    command += ["-no-pie" if board.soc is None else "-nostartfiles"]
    with atomic_path(elf) as temporary, scratch_folder("link") as folder:
        if board.soc is not None:
            script = folder / "link.ld"
            script.write_text(_link_script(board), encoding="utf-8")
            command += [f"-T{script}", "-Wl,--print-memory-usage"]
        command += [*map(_path, objects), "-o", str(temporary)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            error = _first_error(done.stderr)
            uses = board_uses(board, _linked_bytes(done.stdout))
            if "region" in error and not all(use.fits for use in uses):
                raise no_room(f"{board.name}: {elf.name}", uses)
            raise TargetError(f"{board.name}: {elf.name}: {error}")
        crc_bytes = None if board.soc is None else soc_settings(board.soc).boot_crc_bytes
        if crc_bytes is not None:
            put_boot_crc(temporary, crc_bytes)
    mode = elf.stat().st_mode
    elf.chmod(mode | (mode & 0o444) >> 2)  # whoever may read it may run it
    return elf


def image_id(board: BoardSpec, objects: Iterable[Path]) -> bytes:
    """Return 8 bytes that stand for an image: of its objects and how they are linked.

    Objects are what their compiler, flags and sources make of them, which are thus in it; folders
    are not.
    """
    digest = hashlib.sha256()
    script = _link_script(board) if board.soc is not None else ""
    for part in ("edgeflow image 1", board.name, script, *board.core.link_flags):
        digest.update(part.encode() + b"\0")
    for file in objects:
        content = file.read_bytes()
        digest.update(f"{file.name}\0{len(content)}\0".encode() + content)
    return digest.digest()[:8]


def _linked_bytes(text: str) -> dict[str, int]:
    """Return the bytes that the linker says it needs of each memory, without the stack."""
    units = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
    rows = re.findall(r"^\s*(\w+):\s+(\d+) (B|KB|MB|GB)\s+\d", text, re.MULTILINE)
    return {name.lower(): int(size) * units[unit] for name, size, unit in rows}


def _link_script(board: BoardSpec) -> str:
    """Return the SoC's linker script, with the board's memories before it."""
    assert board.soc is not None
    # the attributes say where sections go that the script does not name
    memories = "".join(
        f"    {name.upper()} ({'rx' if name == 'flash' else 'rw'}) : "
        f"ORIGIN = {region.base:#x}, LENGTH = {region.size:#x}\n"
        for name, region in board.memory.items()
        if name != SLOTS
    )
    aliases = "".join(
        f'REGION_ALIAS("{key.upper()}", {name.upper()})\n'
        for key, name in board.placement.model_dump().items()
    )
    script = soc_files(board.soc)["link.ld"]
    return (
        f"MEMORY\n{{\n{memories}}}\n{aliases}__stack_size = {board.stack:#x};\n"
        f"{script.read_text(encoding='utf-8')}"
    )


def objcopy(board: BoardSpec, elf: Path, output: Path) -> Path:
    """Convert an ELF file of a bare-metal board to ``.bin`` or ``.hex``, by `output`'s suffix."""
    kinds: dict[str, Literal["binary", "ihex"]] = {".bin": "binary", ".hex": "ihex"}
    kind = kinds.get(output.suffix)
    if kind is None:
        raise TargetError(f"{output.name}: an image is a .bin or a .hex file")
    program = find_tool(f"{board.core.prefix}objcopy")
    with atomic_path(output) as temporary:
        _run([program, "-O", kind, _path(elf), _path(temporary)], output.name)
    return output


def _path(path: Path) -> str:
    """Return a path as an argument: in a folder ``-x`` or ``@x`` it looks like an option."""
    text = str(path)
    # without a folder it is meant as one: -lm
    return f"./{text}" if text.startswith(("-", "@")) and len(path.parts) > 1 else text


def _core_flags(core: CoreSpec) -> list[str]:
    return [*core.flags, *([f"--specs={core.specs}"] if core.specs else [])]


@lru_cache
def _predefined(compiler: str, name: str, flags: tuple[str, ...]) -> Mapping[str, str]:
    """Return the macros that a compiler defines for a core."""
    output = _run([compiler, *flags, "-dM", "-E", "-xc", "/dev/null"], name)
    lines = (line.split(maxsplit=2) for line in output.splitlines() if line.startswith("#define"))
    return {name: "".join(value) for _, name, *value in lines}


def _check_macros(core: CoreSpec, defined: Mapping[str, str]) -> None:
    absent = [macro for macro in core.macros if macro not in defined]
    if absent:
        raise TargetError(
            f"{core.name}: {core.compiler} {' '.join(core.flags)} does not define "
            f"{', '.join(absent)}: use a compiler that knows the core"
        )


def _prefix_map(defined: Mapping[str, str]) -> str:
    """Return the flag that replaces folders in debug information and, from GCC 8 on, __FILE__."""
    old = "__clang__" not in defined and int(defined.get("__GNUC__", 8)) < 8
    return "-fdebug-prefix-map" if old else "-ffile-prefix-map"


def _run(command: list[str], what: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise TargetError(f"{what}: {_first_error(done.stderr)}")
    return done.stdout


def _first_error(text: str) -> str:
    """Return the most specific error line of a tool's output."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    full = [line for line in lines if "No space left on device" in line]
    if full:
        return f"{full[0]}: free some space, then run the command again"
    for pattern in (
        r"will not fit in region|region .* (overflowed|has no room)",
        r"undefined reference|relocation truncated",
        r"\berror\b|\bError\b",
    ):
        found = [line for line in lines if re.search(pattern, line)]
        if found:
            return found[-1] if "region" in pattern else found[0]
    return lines[0] if lines else "failed without a message"

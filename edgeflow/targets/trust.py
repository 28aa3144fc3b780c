"""What a board file of one's own may say without being trusted.

A board file names programs (a compiler, an emulator), gives them arguments, and points at sources.
A compiler can be told to load a plugin, an emulator to write files: so only known tools, known
arguments and files beside the board file are taken from a file that came from elsewhere.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeflow.resources import resource
from edgeflow.targets.soc import soc_folders

if TYPE_CHECKING:
    from edgeflow.targets.board import BoardSpec

#: Prefixes of compilers that are known; their tools are found in PATH.
PREFIXES = (
    "", "arm-none-eabi-", "arm-zephyr-eabi-", "riscv64-unknown-elf-", "riscv32-unknown-elf-",
    "riscv-none-elf-", "riscv32-esp-elf-", "riscv64-zephyr-elf-", "aarch64-linux-gnu-",
    "aarch64-none-linux-gnu-",
)  # fmt: skip
#: Specs files of C libraries that are known.
SPECS = ("nano.specs", "nosys.specs", "picolibc.specs")

_WORD = r"[A-Za-z0-9_.+-]+"
_FLAG = re.compile(
    rf"-m[a-z0-9-]+(={_WORD}(,{_WORD})*)?"  # of the architecture
    r"|-O[0-3sgz]?|-Ofast|-g[0-3]?|-std=[a-z0-9+:]+|-pipe"
    r"|-W[a-z][a-z0-9=+-]*"  # warnings: what goes to other tools has commas
    r"|-f(no-)?(builtin|common|data-sections|function-sections|exceptions|unwind-tables"
    r"|asynchronous-unwind-tables|strict-aliasing|omit-frame-pointer|pic|PIC|pie|PIE|short-enums"
    r"|signed-char|unsigned-char|math-errno|tree-vectorize|tree-loop-distribute-patterns"
    r"|unroll-loops|jump-tables|stack-protector|lto|fat-lto-objects|signed-zeros|trapping-math)"
    r"|-ffreestanding|-ffp-contract=(off|on|fast)"
    r"|-D[A-Za-z_]\w*(=[A-Za-z0-9_.+-]*)?|-U[A-Za-z_]\w*",
    re.ASCII,
)
_LINK_FLAG = re.compile(
    r"-static|-nostdlib|-nodefaultlibs|-nostartfiles|-l(m|c|g|gcc|nosys|c_nano|g_nano)"
    r"|-Wl,--(no-)?(gc-sections|warn-rwx-segments|print-memory-usage|relax|warn-mismatch)"
    r"|-Wl,--defsym=[A-Za-z_]\w*=(0x)?[0-9a-fA-F]+"
    r"|-Wl,-z,(max|common)-page-size=(0x)?[0-9a-fA-F]+",
    re.ASCII,
)
_CPU = re.compile(r"[A-Za-z0-9_.-]+(,[a-z0-9_.-]+=(true|false|on|off|[0-9]+))*", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
#: Arguments of an emulator, with the values that they may have; None: they have none.
_ARGUMENTS: Mapping[str, re.Pattern[str] | None] = {
    "-bios": re.compile("none"),
    "-cpu": _CPU,
    "-m": re.compile("[0-9]+[KMG]?", re.ASCII),
    "-smp": re.compile("[0-9]+", re.ASCII),
    "-icount": re.compile(r"(shift=)?(auto|[0-9]+)(,(align|sleep)=(on|off))*", re.ASCII),
    "-nodefaults": None,
    "-no-reboot": None,
}
#: Values of a target of TVM, by key.
_TARGET: Mapping[str, re.Pattern[str]] = {
    "kind": re.compile("llvm|c"),
    **dict.fromkeys(("mtriple", "mcpu", "mabi", "mfloat-abi", "vector-width"), _NAME),
    "mattr": re.compile(r"[+-][A-Za-z0-9_.-]+", re.ASCII),
}


def untrusted(board: "BoardSpec", folder: Path) -> Iterator[str]:
    """Yield what needs trust in a board of one's own and its core, as ``KEY: what``.

    Parameters
    ----------
    board : BoardSpec
    folder : Path
        Of the board's file: its own sources are within it.
    """
    core, runner = board.core, board.runner
    yield from _tools(core.prefix, core.specs)
    yield from _flags(core.flags, core.link_flags)
    yield from _target(core.tvm.target if core.tvm is not None else {})
    machine, cpu, arguments = (getattr(runner, key, "") for key in ("machine", "cpu", "args"))
    yield from _machine(machine, cpu, arguments)
    yield from _options(getattr(runner, "options", {}))
    if launcher := getattr(runner, "launcher", ()):
        yield f"runner.launcher: '{' '.join(launcher)}' runs on the device"
    if board.soc is not None:
        held = [file for place in soc_folders(board.soc) for file in (place, *place.iterdir())]
        yield from _files(held, [folder, resource("targets")])


#: Options of flash tools that name code: commands, files that a tool runs or reads.
TRUSTED_OPTIONS = ("commands", "pack", "build_dir")
#: Text of the other options of flash tools, names of scripts in the tool's own folder among them;
#: tools run in an empty folder, so that no other file has such a name.
_OPTION = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9_.+-]*(/[A-Za-z0-9_+-][A-Za-z0-9_.+-]*)*"
    r"|[A-Za-z0-9][A-Za-z0-9_.+,*:-]*"  # settings of several parts
    r"|([A-Za-z0-9][A-Za-z0-9_.:-]*)?:[0-9]{1,5}"  # host and port of a server
    r"|/dev/tty[A-Za-z0-9_.-]+",
    re.ASCII,
)
#: Options that are shown to the user, and reach no tool.
_SHOWN_OPTIONS = ("enter",)


def _options(tools: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
    """Yield options of flash tools that name code, or could."""
    for tool, options in tools.items():
        for key, value in options.items():
            where = f"runner.options.{tool}.{key}"
            if key in TRUSTED_OPTIONS and value:
                yield f"{where}: {value!r} is code for the tool"
            for item in value if isinstance(value, list | tuple) else [value]:
                if isinstance(item, bool | int | float) or key in _SHOWN_OPTIONS:
                    continue
                if not (isinstance(item, str) and _OPTION.fullmatch(item)):
                    yield f"{where}: {item!r} is more than a name"


def _tools(prefix: str, specs: str | None) -> Iterator[str]:
    """Yield what is no known compiler or C library, as ``KEY: what``."""
    if prefix not in PREFIXES:
        known = ", ".join(filter(None, PREFIXES))
        yield f"core.prefix: '{prefix}gcc' is none of the known compilers ({known})"
    if specs is not None and specs not in SPECS:
        yield f"core.specs: '{specs}' is none of {', '.join(SPECS)}, which name programs"


def _flags(flags: Sequence[str], link_flags: Sequence[str]) -> Iterator[str]:
    """Yield flags that may do more than choose an architecture or a library."""
    for flag in flags:
        if not _FLAG.fullmatch(flag):
            yield f"core.flags: '{flag}' is no flag of an architecture, warning or optimization"
    for flag in link_flags:
        if not (_FLAG.fullmatch(flag) or _LINK_FLAG.fullmatch(flag)):
            yield f"core.link_flags: '{flag}' is none of those that are known to be harmless"


def _target(target: Mapping[str, object]) -> Iterator[str]:
    """Yield keys and values of a target of TVM that are not known."""
    for key, value in target.items():
        pattern = _TARGET.get(key)
        values = value if isinstance(value, list | tuple) else [value]
        if pattern is None or not all(pattern.fullmatch(str(item)) for item in values):
            yield f"core.tvm.target.{key}: {value!r} is not known"


def _machine(machine: str, cpu: str, arguments: Sequence[str]) -> Iterator[str]:
    """Yield what an emulator is told beyond the machine, its core and its size."""
    if machine and not _NAME.fullmatch(machine):
        yield f"runner.machine: '{machine}' is more than a name"
    if cpu and not _CPU.fullmatch(cpu):
        yield f"runner.cpu: '{cpu}' is more than a core and its extensions"
    rest = iter(arguments)
    for argument in rest:
        if argument not in _ARGUMENTS:
            yield f"runner.args: '{argument}' is none of {', '.join(_ARGUMENTS)}"
            return
        pattern = _ARGUMENTS[argument]
        if pattern is not None and not pattern.fullmatch(value := next(rest, "")):
            yield f"runner.args: '{argument} {value}' is no value that is known to be harmless"


def _files(files: Sequence[Path], folders: Sequence[Path]) -> Iterator[str]:
    """Yield files that are, after all links, in none of the folders."""
    inside = [folder.resolve() for folder in folders]
    for file in files:
        whole = file.resolve()
        if not any(whole.is_relative_to(folder) for folder in inside):
            yield f"soc: {file} is a link to {whole}, outside of the board file's folder"

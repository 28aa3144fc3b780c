"""Board and core descriptions: what ``targets/*.toml`` says, checked.

A board file names its core and SoC family, its memories, its UART and what runs an image on it.
``docs/add-a-board.md`` explains the keys.
"""

import difflib
import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from edgeflow.errors import TargetError
from edgeflow.resources import kernel_sets, resource
from edgeflow.targets.trust import untrusted

_UNITS = {"": 1, "K": 1024, "M": 1024 * 1024}
_FILE_NAME = r"[A-Za-z0-9][A-Za-z0-9._+ -]{0,63}"


def _size(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+)([KM]?)", value)
        if match is None:
            raise ValueError(f"'{value}' is not a size; write bytes, or '256K', or '4M'")
        return int(match[1]) * _UNITS[match[2]]
    return value


Size = Annotated[int, BeforeValidator(_size), Field(strict=True, gt=0, le=1 << 32)]
Address = Annotated[int, Field(strict=True, ge=0, lt=1 << 32)]


def _kernel_set(name: str) -> str:
    known = kernel_sets()
    if name not in known:
        raise ValueError(_unknown("kernel set", name, known))
    return name


KernelSet = Annotated[str, AfterValidator(_kernel_set)]


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


SpecT = TypeVar("SpecT", bound=_Spec)


class Schedule(_Spec):
    """Transformation of a kernel's loops by TVM.

    Attributes
    ----------
    unroll
        Iterations of the loop over columns that become one.
    vectorize
        True: the rows of a group are one vector.
    """

    unroll: int = Field(default=1, ge=1, le=64)
    vectorize: bool = False


class TvmSpec(_Spec):
    """Compilation for a core by TVM.

    Attributes
    ----------
    target
        Of `tvm.target.Target`: kind ``llvm``, or ``c`` where another compiler makes the code.
    kernels
        Kernel sets in order of preference.
    schedules
        By kernel; None: those of ``calibration/costs/schedules``.
    """

    target: dict[str, str | int | list[str]]
    kernels: tuple[Literal["tvm", "tvm_dsp", "tvm_mve"], ...] = Field(min_length=1)
    schedules: dict[str, Schedule] | None = None


class CoreSpec(_Spec):
    """A processor core: how to compile for it and to read its code.

    Attributes
    ----------
    name, description
        `name` is the file's name.
    prefix
        Of the compiler's tools, such as ``arm-none-eabi-``; empty for the machine's own.
    flags
        Architecture flags of the compiler.
    link_flags
        Further ones for linking, where the C library knows less of the core than the compiler.
    specs
        Specs file of the small C library; None where an operating system has its own.
    disassembler
        Instruction set, for tools that read machine code.
    kernels
        Kernel sets in order of preference: folders of ``firmware/kernels``, and ``c``.
    macros
        Macros that the compiler must predefine under `flags`, checked at each build.
    tvm
        None if TVM does not know the core.
    """

    name: str
    description: str
    prefix: str
    flags: tuple[str, ...] = ()
    link_flags: tuple[str, ...] = ()
    specs: str | None = None
    disassembler: Literal["thumb", "riscv32", "aarch64", "native"]
    kernels: tuple[KernelSet, ...] = Field(min_length=1)
    macros: tuple[str, ...] = ()
    tvm: TvmSpec | None = None

    @property
    def compiler(self) -> str:
        """Name of the C compiler."""
        return f"{self.prefix}gcc"


class Region(_Spec):
    """A memory: first address and size in bytes."""

    base: Address
    size: Size


class Uart(_Spec):
    """The serial port that the firmware talks over.

    `driver` names ``ef_hal_uart_<driver>.c``, in the SoC's folder or ``firmware/hal``; `irq` is the
    number of its receive interrupt at the interrupt controller; `clock_hz` feeds its baud rate
    generator, and is the core's where it is not given. Without a `fifo` it takes a byte at a time.
    """

    driver: str
    base: Address
    irq: int = Field(ge=0, lt=1024)
    baud: int = Field(default=115200, ge=1200, le=4_000_000)
    clock_hz: int | None = Field(default=None, gt=0)
    fifo: bool = True


class QemuRunner(_Spec):
    """An emulated machine: ``qemu-system-<system> -M <machine> <args>``."""

    kind: Literal["qemu"]
    system: Literal["arm", "riscv32"]
    machine: str
    args: tuple[str, ...] = ()

    @property
    def program(self) -> str:
        """Name of the emulator."""
        return f"qemu-system-{self.system}"


class QemuUserRunner(_Spec):
    """A Linux program under QEMU's user mode: ``<program> -cpu <cpu> firmware.elf``."""

    kind: Literal["qemu-user"]
    program: Literal["qemu-aarch64"]
    cpu: str


class NativeRunner(_Spec):
    """A program of the machine itself."""

    kind: Literal["native"]


class Estimate(_Spec):
    """The reference board of estimates.

    Attributes
    ----------
    part
        Name of its calibration.
    flash_wait_states
        Instead of the reference board's own.
    """

    part: str
    flash_wait_states: int | None = Field(default=None, ge=0, le=50)


class Placement(_Spec):
    """Memories that a program is read from, by their names in the board file.

    What is not in ``flash`` is stored there too, and copied by the start-up code.

    Attributes
    ----------
    weights
        Of the model's constants: weights, tables, descriptions of the layers.
    kernels
        Of the code of a step: kernels and ``model_step``.
    """

    weights: str = "flash"
    kernels: str = "flash"


class BoardSpec(_Spec):
    """A board, real or emulated.

    Attributes
    ----------
    name, description
        `name` is the file's name.
    core
        See :class:`CoreSpec`.
    soc
        Folder with the linker script, start-up code and the SoC's half of the HAL, which a board
        file names by its name under ``targets/soc``, or ``soc`` beside the file; None for a board
        with an operating system, whose serial port is standard input and output.
    clock_hz
        Core clock; None where the board has none worth naming.
    stack
        Bytes kept for the stack, at the top of RAM; 0 under an operating system.
    memory
        ``flash`` and ``ram``, and any others; empty under an operating system.
    uart
        None under an operating system.
    runner
        Tool that runs an image.
    estimate
        The reference board that cycles and energy are estimated for, if any.
    placement
        Memories of weights and kernels while the program runs.
    """

    name: str
    description: str
    core: CoreSpec
    soc: Path | None = None
    clock_hz: int | None = Field(default=None, gt=0)
    stack: Annotated[Size, Field(multiple_of=16)] | Literal[0] = 0
    memory: dict[str, Region] = Field(default_factory=dict)
    uart: Uart | None = None
    runner: Annotated[QemuRunner | QemuUserRunner | NativeRunner, Field(discriminator="kind")]
    estimate: Estimate | None = None
    placement: Placement = Placement()

    @model_validator(mode="after")
    def _check(self) -> "BoardSpec":
        for name in self.memory:
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in Placement.model_fields:
                raise ValueError(
                    f"memory.{name}: a memory's name is of a-z, 0-9 and _, and not "
                    f"{' or '.join(Placement.model_fields)}"
                )
        regions = sorted(self.memory.items(), key=lambda item: item[1].base)
        for (low, below), (high, above) in pairwise(regions):
            if below.base + below.size > above.base:
                raise ValueError(f"memory.{high}: overlaps memory.{low}")
        if self.soc is None:
            for key in ("memory", "uart", "stack"):
                if getattr(self, key):
                    raise ValueError(f"{key}: only a board with a 'soc' has one")
            if self.placement != Placement():
                raise ValueError("placement: only a board with a 'soc' has one")
            if isinstance(self.runner, QemuRunner):
                raise ValueError("soc: missing key (runner.kind 'qemu' runs bare metal)")
            return self
        if not isinstance(self.runner, QemuRunner):
            # a start-up code of its own would be a program of this machine
            raise ValueError(f"soc: runner.kind '{self.runner.kind}' has an operating system")
        for key in ("flash", "ram"):
            if key not in self.memory:
                raise ValueError(f"memory.{key}: missing key")
        if self.uart is None:
            raise ValueError("uart: missing key")
        if self.uart.clock_hz is None and self.clock_hz is None:
            raise ValueError("uart.clock_hz: missing key (there is no clock_hz either)")
        drivers = uart_drivers(self.soc)
        if self.uart.driver not in drivers:
            known = _unknown("UART driver", self.uart.driver, sorted(drivers))
            raise ValueError(f"uart.driver: {known}")
        if not 0 < self.stack <= self.memory["ram"].size:
            raise ValueError("stack: must be more than 0 and at most memory.ram.size")
        for key, name in self.placement.model_dump().items():
            if name not in self.memory:
                known = ", ".join(self.memory)
                raise ValueError(f"placement.{key}: no memory '{name}' (there are: {known})")
        return self

    def placed(self, *, weights: str | None = None, kernels: str | None = None) -> "BoardSpec":
        """Return the board with other memories for weights or kernels; None: its own.

        Raises
        ------
        TargetError
            If the board has no memory of that name, or an operating system places all.
        """
        asked = {"weights": weights, "kernels": kernels}
        changed = {key: name for key, name in asked.items() if name is not None}
        if not changed:
            return self
        if self.soc is None:
            raise TargetError(f"{self.name}: its operating system decides where programs are")
        for key, name in changed.items():
            if name not in self.memory:
                raise TargetError(
                    f"{self.name}: {key} in '{name}': no such memory; there are "
                    f"{', '.join(self.memory)}"
                )
        return self.model_copy(update={"placement": self.placement.model_copy(update=changed)})

    def __repr__(self) -> str:
        return f"BoardSpec({self.name}: {self.core.name}; {self.description})"

    @property
    def emulated(self) -> bool:
        """True where the board's own cycle counter means nothing."""
        return isinstance(self.runner, QemuRunner | QemuUserRunner)

    @property
    def emulator(self) -> str | None:
        """Name of the program that emulates the board."""
        return None if isinstance(self.runner, NativeRunner) else self.runner.program

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the external programs that building for and running on the board takes."""
        names = (self.core.compiler, self.emulator)
        return tuple(name for name in names if name is not None)


#: Characters of a board's name: files of more there cannot be.
_LONGEST = 100


def list_boards() -> list[BoardSpec]:
    """Return the boards that EdgeFlow ships, by core from small to large."""
    boards = [load_board(path) for path in sorted(resource("targets").glob("*.toml"))]
    order = ["cortex-m", "rv32", "cortex-a", "host"]

    def rank(board: BoardSpec) -> tuple[int, int, str]:
        core = board.core.name
        family = next((n for n, prefix in enumerate(order) if core.startswith(prefix)), len(order))
        digits = re.sub(r"\D", "", core)
        return family, int(digits or 0), board.name

    return sorted(boards, key=rank)


def load_board(name: str | Path, *, trusted: bool = False) -> BoardSpec:
    """Load a board by its name, or from a file.

    Parameters
    ----------
    name
        A name that ``edgeflow boards`` lists, or the path of a TOML file. A file of one's own may
        have its core in a ``cores`` folder beside it, and its SoC in ``soc``.
    trusted
        Whether a file of one's own may name any program, flag and file (`edgeflow.targets.trust`).

    Raises
    ------
    TargetError
        Unknown name, or a file with something wrong in it, or that needs trust.
    """
    text = str(name)
    if text.endswith(".toml") or "/" in text:
        path = Path(name)
    else:
        path = resource("targets") / f"{text}.toml"
        if len(text) > _LONGEST or not path.is_file():
            known = sorted(file.stem for file in path.parent.glob("*.toml"))
            raise TargetError(
                f"no board '{text}'; {_did_you_mean(text, known)}'edgeflow boards' lists them"
            )
    values = _read(path)
    if isinstance(values.get("core"), str):
        values["core"] = load_core(values["core"], path)
    if isinstance(values.get("soc"), str):
        values["soc"] = _find("soc", values["soc"], path)
    board = _validate(BoardSpec, values, path)
    if not trusted and (problem := next(untrusted(board, path.parent), None)):
        raise TargetError(
            f"{_shown(path)}: {problem}: a board file that says so can run programs or read files "
            "of this machine: if you trust whoever wrote it, say --trust-board (trust_board=True)"
        )
    return board


def uart_drivers(soc: Path) -> dict[str, Path]:
    """Return the sources of UART drivers by name; those in a SoC's folder go first."""
    prefix = "ef_hal_uart_"
    folders = (resource("firmware") / "hal", soc)
    files = (file for folder in folders for file in folder.glob(f"{prefix}*.c"))
    return {file.stem.removeprefix(prefix): file for file in files}


def load_core(name: str, board: Path | None = None) -> CoreSpec:
    """Load a core by its name, such as ``cortex-m4``: beside a board's file, or EdgeFlow's.

    Raises
    ------
    TargetError
        Unknown name, or a file with something wrong in it.
    """
    path = _find("core", name, board)
    return _validate(CoreSpec, _read(path), path)


def _find(key: Literal["core", "soc"], name: str, board: Path | None) -> Path:
    """Return the file of a core or the folder of a SoC: beside a board's file, or EdgeFlow's."""
    folder, pattern = {"core": ("cores", "*.toml"), "soc": ("soc", "*/link.ld")}[key]
    places = [resource("targets"), *([board.resolve().parent] if board is not None else [])]
    files = [file for place in places for file in (place / folder).glob(pattern)]
    known = {path.stem: path for path in (f if key == "core" else f.parent for f in files)}
    if name in known:
        return known[name]
    where = f"{_shown(board)}: {key}: " if board is not None else ""
    raise TargetError(f"{where}{_unknown(key, name, sorted(known))}")


def _unknown(kind: str, name: str, known: list[str]) -> str:
    return f"no {kind} '{name}'; {_did_you_mean(name, known)}known: {', '.join(known)}"


def _did_you_mean(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean '{close[0]}'? " if close else ""


def _shown(path: Path) -> str:
    """Path for messages: relative to EdgeFlow's own files where it is one of them."""
    try:
        return str(path.resolve().relative_to(resource("targets").resolve().parent))
    except ValueError:
        return str(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except FileNotFoundError:
        raise TargetError(f"{_shown(path)}: no such file") from None
    except (ValueError, RecursionError) as error:  # too many digits or brackets, too
        raise TargetError(f"{_shown(path)}: not valid TOML: {error}") from None
    except OSError as error:
        raise TargetError(f"{_shown(path)}: {error.strerror}") from None
    if "name" in values:
        raise TargetError(f"{_shown(path)}: name: unknown key: the file's name is the name")
    if not re.fullmatch(_FILE_NAME, path.stem, re.ASCII):
        # it becomes a text of C, and what the board greets with
        raise TargetError(
            f"{_shown(path)}: a board's or core's name is of A-Z, a-z, 0-9, '.', '_', '+', '-' and "
            "spaces, at most 64: rename the file"
        )
    values["name"] = path.stem
    return values


def _validate(kind: type[SpecT], values: dict[str, Any], path: Path) -> SpecT:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise TargetError(f"{_shown(path)}: {_first_problem(error)}") from None


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    location = [str(part) for part in problem["loc"]]
    if location[:1] == ["runner"] and len(location) > 2:
        del location[1]  # pydantic puts the runner's kind there
    texts = {"extra_forbidden": "unknown key", "missing": "missing key"}
    message = texts.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    if problem["type"] in ("union_tag_invalid", "union_tag_not_found"):
        location.append("kind")
        message = "must be 'qemu', 'qemu-user' or 'native'"
    if problem["type"] == "literal_error":
        message = f"'{problem['input']}': {message[0].lower()}{message[1:]}"
    return ": ".join(part for part in (".".join(location), message) if part)

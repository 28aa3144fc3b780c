"""Board descriptions: what ``targets/*.toml`` says, checked.

A board file names its core and SoC family, its memories, its UART and what runs an image on it.
``docs/add-a-board.md`` explains the keys.
"""

import re
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, model_validator

from edgeflow.errors import TargetError
from edgeflow.resources import resource
from edgeflow.targets.core import CoreSpec, load_core
from edgeflow.targets.pins import Pin
from edgeflow.targets.runner import Runner
from edgeflow.targets.soc import soc_folders
from edgeflow.targets.spec import (
    Address,
    Size,
    Spec,
    did_you_mean,
    find_part,
    read_toml,
    shown,
    unknown,
    validate,
)
from edgeflow.targets.trust import untrusted

#: Least and most of serial ports.
BAUD = 1200, 4_000_000


class Region(Spec):
    """A memory: first address and size in bytes."""

    base: Address
    size: Size


class Uart(Spec):
    """The serial port that the firmware talks over.

    `driver` names ``ef_hal_uart_<driver>.c``, in the SoC's folder or ``firmware/hal``; `irq` is the
    number of its receive interrupt at the interrupt controller; `clock_hz` feeds its baud rate
    generator, and is the core's where it is not given. Without a `fifo` it takes a byte at a time.
    `tx` and `rx` are its pins (see `edgeflow.targets.pins`), where the chip lets software choose
    them; `af` is the number of the pins' alternate function that is this UART.
    """

    driver: str
    base: Address
    irq: int = Field(ge=0, lt=1024)
    baud: int = Field(default=115200, ge=BAUD[0], le=BAUD[1])
    clock_hz: int | None = Field(default=None, gt=0)
    fifo: bool = True
    tx: Pin | None = None
    rx: Pin | None = None
    af: int | None = Field(default=None, ge=0, le=15)

    @model_validator(mode="after")
    def _check(self) -> "Uart":
        if (self.tx is None) != (self.rx is None):
            raise ValueError(f"{'tx' if self.tx is None else 'rx'}: missing key: a UART has both")
        if self.af is not None and self.tx is None:
            raise ValueError("tx: missing key: the function 'af' is one of pins")
        return self


class Gpio(Spec):
    """Pins that mark the time for a power monitor.

    `driver` names ``ef_hal_gpio_<driver>.c``, in the SoC's folder or ``firmware/hal``; `base` is
    that of the first port. Falling edges of `pin` mark the time in the energy mode of MLPerf Tiny;
    `marker` is high in each step, and `layers` changes after each layer.
    """

    driver: str
    base: Address
    pin: Pin | None = None
    marker: Pin | None = None
    layers: Pin | None = None

    @model_validator(mode="after")
    def _check(self) -> "Gpio":
        if self.pin is None and self.marker is None:
            raise ValueError("pin: missing key (or marker, a pin that is high in each step)")
        if self.layers is not None and self.marker is None:
            raise ValueError("layers: only beside a 'marker'")
        pins = [pin for pin in (self.pin, self.marker, self.layers) if pin is not None]
        if len(set(pins)) < len(pins):
            raise ValueError("pin, marker and layers: must be different pins")
        return self


class Estimate(Spec):
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


class Placement(Spec):
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


#: Names that linker scripts have for something else.
_NO_MEMORIES = (*Placement.model_fields, "slots")


class BoardSpec(Spec):
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
    gpio
        The pin that marks the time, if any.
    runner
        Tool that runs an image.
    estimate
        The reference board that cycles and energy are estimated for, if any.
    placement
        Memories of weights and kernels while the program runs.
    counts
        Of the board's sensors, by the unit of what they measure: int16 counts of one unit.
    sources
        Documents that the file's numbers are from.
    unverified
        Keys of the file whose values are from memory, with dots: ``uart.irq``.
    """

    name: str
    description: str
    core: CoreSpec
    soc: Path | None = None
    clock_hz: int | None = Field(default=None, gt=0)
    stack: Annotated[Size, Field(multiple_of=16)] | Literal[0] = 0
    memory: dict[str, Region] = Field(default_factory=dict)
    uart: Uart | None = None
    gpio: Gpio | None = None
    runner: Runner
    estimate: Estimate | None = None
    placement: Placement = Placement()
    counts: dict[str, Annotated[float, Field(ge=1e-6, le=1e9)]] = Field(default_factory=dict)
    sources: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    _file: Path | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _check(self) -> "BoardSpec":
        for name in self.memory:
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in _NO_MEMORIES:
                raise ValueError(
                    f"memory.{name}: a memory's name is of a-z, 0-9 and _, and not "
                    f"{' or '.join(_NO_MEMORIES)}"
                )
        written = self.model_dump(exclude_unset=True, exclude={"core"})
        for key in self.unverified:
            if not _has(written, key):
                raise ValueError(f"unverified: there is no '{key}' in the file")
        regions = sorted(self.memory.items(), key=lambda item: item[1].base)
        for (low, below), (high, above) in pairwise(regions):
            if below.base + below.size > above.base:
                raise ValueError(f"memory.{high}: overlaps memory.{low}")
        if self.soc is None:
            for key in ("memory", "uart", "gpio", "stack"):
                if getattr(self, key):
                    raise ValueError(f"{key}: only a board with a 'soc' has one")
            if self.placement != Placement():
                raise ValueError("placement: only a board with a 'soc' has one")
            if self.runner.bare_metal:
                raise ValueError(
                    f"soc: missing key (runner.kind '{self.runner.kind}' runs bare metal)"
                )
            return self
        if not self.runner.bare_metal:
            # a start-up code of its own would be a program of this machine
            raise ValueError(f"soc: runner.kind '{self.runner.kind}' has an operating system")
        for key in ("flash", "ram"):
            if key not in self.memory:
                raise ValueError(f"memory.{key}: missing key")
        if self.uart is None:
            raise ValueError("uart: missing key")
        if self.uart.clock_hz is None and self.clock_hz is None:
            raise ValueError("uart.clock_hz: missing key (there is no clock_hz either)")
        for key, part in (("uart", self.uart), ("gpio", self.gpio)):
            if part is not None and part.driver not in (there := drivers(key, self.soc)):
                known = unknown(f"{key.upper()} driver", part.driver, sorted(there))
                raise ValueError(f"{key}.driver: {known}")
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

    def at_baud(self, baud: int | None) -> "BoardSpec":
        """Return the board with another rate of its serial port; None: its own.

        Raises
        ------
        TargetError
            If the board has no such port, or no such rate.
        """
        if baud is None:
            return self
        if self.uart is None:
            raise TargetError(f"{self.name}: standard input and output have no baud rate")
        if not BAUD[0] <= baud <= BAUD[1]:
            raise TargetError(f"{self.name}: {baud} baud: {BAUD[0]} to {BAUD[1]} are possible")
        return self.model_copy(update={"uart": self.uart.model_copy(update={"baud": baud})})

    def __repr__(self) -> str:
        return f"BoardSpec({self.name}: {self.core.name}; {self.description})"

    @property
    def file(self) -> Path | None:
        """The file that it was loaded from."""
        return self._file

    @property
    def emulated(self) -> bool:
        """True where the board's own cycle counter means nothing."""
        return self.runner.emulated

    @property
    def runs_here(self) -> bool:
        """True where an image runs on this machine, in a program that EdgeFlow starts."""
        return self.runner.runs_here

    @property
    def emulator(self) -> str | None:
        """Name of the QEMU program that emulates the board."""
        return self.runner.emulator

    @property
    def packages(self) -> tuple[str, ...]:
        """Names of the Python packages that running an image takes, beside EdgeFlow's own."""
        return self.runner.packages

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the external programs that building for and running on the board takes."""
        return (self.core.compiler, *self.runner.tools)


def _has(values: object, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return True


#: Characters of a board's name: files of more there cannot be.
_LONGEST = 100


def list_boards() -> list[BoardSpec]:
    """Return the boards that EdgeFlow ships, by core from small to large."""
    boards = [load_board(path) for path in sorted(resource("targets").glob("*.toml"))]
    order = ["atmega", "cortex-m", "rv32", "cortex-a", "host"]

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
                f"no board '{text}'; {did_you_mean(text, known)}'edgeflow boards' lists them"
            )
    values = read_toml(path)
    if isinstance(values.get("core"), str):
        values["core"] = load_core(values["core"], path)
    if isinstance(values.get("soc"), str):
        values["soc"] = find_part("soc", values["soc"], path)
    board = validate(BoardSpec, values, path)
    if not trusted and (problem := next(untrusted(board, path.parent), None)):
        raise TargetError(
            f"{shown(path)}: {problem}: a board file that says so can run programs or read files "
            "of this machine: if you trust whoever wrote it, say --trust-board (trust_board=True)"
        )
    board._file = path
    return board


def drivers(kind: str, soc: Path) -> dict[str, Path]:
    """Return the sources of drivers, "uart" or "gpio", by name; a SoC's own go first."""
    prefix = f"ef_hal_{kind}_"
    folders = (resource("firmware") / "hal", *soc_folders(soc))
    files = (file for folder in folders for file in folder.glob(f"{prefix}*.c"))
    return {file.stem.removeprefix(prefix): file for file in files}

"""What runs an image on a board: the ``[runner]`` table of a board file, a class per kind."""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from edgeflow.errors import EdgeFlowError
from edgeflow.targets import rtl
from edgeflow.targets.spec import Address, Spec, unknown


class _Runner(Spec):
    """What all kinds have.

    Attributes
    ----------
    bare_metal
        True where the image starts the machine, so that the board has a ``soc``.
    emulated
        True where the board's own cycle counter means nothing.
    runs_here
        True where an image runs on this machine, in a program that EdgeFlow starts.
    """

    bare_metal: ClassVar[bool] = False
    emulated: ClassVar[bool] = False
    runs_here: ClassVar[bool] = True

    @property
    def emulator(self) -> str | None:
        """Name of the program that runs an image and counts its instructions; None: none does."""
        return None

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the programs that running an image takes."""
        return () if self.emulator is None else (self.emulator,)

    @property
    def packages(self) -> tuple[str, ...]:
        """Names of the Python packages that running an image takes, beside EdgeFlow's own."""
        return ()

    @property
    def rtl_label(self) -> str | None:
        """Which RTL runs the image; None: none does."""
        return None


class QemuRunner(_Runner):
    """An emulated machine: ``qemu-system-<system> -M <machine> <args>``."""

    bare_metal: ClassVar[bool] = True
    emulated: ClassVar[bool] = True

    kind: Literal["qemu"]
    system: Literal["arm", "riscv32"]
    machine: str
    args: tuple[str, ...] = ()

    @property
    def emulator(self) -> str:
        """Name of the emulator."""
        return f"qemu-system-{self.system}"


class QemuUserRunner(_Runner):
    """A Linux program under QEMU's user mode: ``<program> -cpu <cpu> firmware.elf``."""

    emulated: ClassVar[bool] = True

    kind: Literal["qemu-user"]
    program: Literal["qemu-aarch64"]
    cpu: str

    @property
    def emulator(self) -> str:
        """Name of the emulator."""
        return self.program


class SimavrRunner(_Runner):
    """An AVR microcontroller in simavr, whose cycles are those of the real one.

    Attributes
    ----------
    mcu
        Its name in simavr.
    """

    bare_metal: ClassVar[bool] = True

    kind: Literal["simavr"]
    mcu: str = Field(pattern=r"^[a-z0-9]+$")

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the external programs that running an image takes."""
        return "simavr", "gcc"


class NativeRunner(_Runner):
    """A program of the machine itself."""

    kind: Literal["native"]


class RtlRunner(_Runner):
    """The RTL of a core, simulated cycle by cycle: the board's cycle counter is right.

    Attributes
    ----------
    cpu
        A folder of ``targets/rtl``.
    configuration
        One that its ``core.toml`` has.
    """

    bare_metal: ClassVar[bool] = True

    kind: Literal["rtl"]
    cpu: str
    configuration: str

    @model_validator(mode="after")
    def _check(self) -> "RtlRunner":
        try:
            known = sorted(self.rtl.configurations)
        except EdgeFlowError as error:
            raise ValueError(f"cpu: {error}") from None
        if self.configuration not in known:
            raise ValueError(f"configuration: {unknown('one', self.configuration, known)}")
        return self

    @property
    def rtl(self) -> rtl.RtlCore:
        """The core."""
        return rtl.load_rtl_core(self.cpu)

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the programs that make the simulator."""
        return rtl.TOOLS

    @property
    def packages(self) -> tuple[str, ...]:
        """Name of the package with the RTL."""
        return (self.rtl.package,)

    @property
    def rtl_label(self) -> str:
        """What is simulated: core, version of its package and configuration."""
        version = f"{self.rtl.package} {self.rtl.version}"
        return f"{self.rtl.description} ({version}), configuration {self.configuration}"


_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_./:=,+-]+$")]


class AdbRunner(_Runner):
    """A device with Android's debug bridge, such as a watch: the image is a program there.

    Attributes
    ----------
    serial
        Which device, as ``adb devices`` lists it; None: the only one.
    folder
        On the device, for the image.
    launcher
        Words before the image in the device's shell, such as ``taskset f0``.
    """

    runs_here: ClassVar[bool] = False

    kind: Literal["adb"]
    serial: _Word | None = None
    folder: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9_.-]+)+$")] = "/data/local/tmp/edgeflow"
    launcher: tuple[_Word, ...] = ()

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the programs that it takes."""
        return ("adb",)


def _usb_id(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{4}:([0-9a-fA-F]{4}|\*)", text):
        raise ValueError(f"'{text}' is no USB id: write VID:PID in hexadecimal, or VID:*")
    return text.lower()


UsbId = Annotated[str, AfterValidator(_usb_id)]


class Chip(Spec):
    """How a chip says what it is: a word that a debugger reads before it writes anything.

    Attributes
    ----------
    address
        Of the word with the part number.
    value
        What the board's chip has there.
    mask
        Bits of the word that count; others are revisions.
    """

    address: Address
    value: Address
    mask: Address = 0xFFFFFFFF


class HardwareRunner(_Runner):
    """A real board at a serial port, which flash tools write to.

    Attributes
    ----------
    usb
        USB ids of the board's serial port, ``VID:PID`` or ``VID:*``; most are of the debug probe or
        bridge on it, which other boards have, too.
    order
        Flash tools (``edgeflow/device/runners``) that can write to the board, the best first.
    options
        What each tool has to know of the board, by its name; the tool checks its own.
    chip
        Tells the board's chip from others of its family, where a tool reads memory; None: nothing
        does.
    """

    bare_metal: ClassVar[bool] = True
    runs_here: ClassVar[bool] = False

    kind: Literal["hardware"]
    usb: tuple[UsbId, ...] = ()
    order: tuple[str, ...] = Field(min_length=1)
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    chip: Chip | None = None

    @model_validator(mode="after")
    def _check(self) -> "HardwareRunner":
        for name in self.options:
            if name not in self.order:
                raise ValueError(f"options.{name}: '{name}' is not in order")
        return self


class AtPort(_Runner):
    """Nothing: tools of others wrote the image, and it runs. No board file has it."""

    runs_here: ClassVar[bool] = False

    kind: Literal["port"] = "port"


#: Of a board; a new kind joins here, and in ``edgeflow.device.open_board``.
Runner = Annotated[
    QemuRunner
    | QemuUserRunner
    | RtlRunner
    | SimavrRunner
    | NativeRunner
    | AdbRunner
    | HardwareRunner,
    Field(discriminator="kind"),
]

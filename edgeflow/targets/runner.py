"""What runs an image on a board: the ``[runner]`` table of a board file, a class per kind."""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from edgeflow.targets.spec import Spec


class _Runner(Spec):
    """What all kinds have.

    Attributes
    ----------
    bare_metal
        True where the image starts the machine, so that the board has a ``soc``.
    emulated
        True where the board's own cycle counter means nothing.
    """

    bare_metal: ClassVar[bool] = False
    emulated: ClassVar[bool] = False

    @property
    def emulator(self) -> str | None:
        """Name of the program that runs the image on this machine; None: none is needed."""
        return None

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the programs that it takes."""
        return () if self.emulator is None else (self.emulator,)


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


class NativeRunner(_Runner):
    """A program of the machine itself."""

    kind: Literal["native"]


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
    """

    bare_metal: ClassVar[bool] = True

    kind: Literal["hardware"]
    usb: tuple[UsbId, ...] = ()
    order: tuple[str, ...] = Field(min_length=1)
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> "HardwareRunner":
        for name in self.options:
            if name not in self.order:
                raise ValueError(f"options.{name}: '{name}' is not in order")
        return self


#: Of a board; a new kind joins here, and in ``edgeflow.device.open_board``.
Runner = Annotated[
    QemuRunner | QemuUserRunner | NativeRunner | AdbRunner | HardwareRunner,
    Field(discriminator="kind"),
]

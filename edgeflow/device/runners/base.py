"""The base of the flash tools: how one is run, and what is done about its failures."""

import abc
import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import platformdirs
from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from pydantic import ValidationError

from edgeflow.device.lock import held_port
from edgeflow.device.process import Child
from edgeflow.errors import DeviceError, NoProbeError, TargetError, ToolMissingError
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.runner import Chip, HardwareRunner
from edgeflow.targets.spec import Spec, first_problem, shown

#: A pattern in a tool's output, without regard to case, and what that means and what to do.
Failure = tuple[str, str]

PERMISSION = (
    "no permission for the device: of a serial port, 'sudo usermod -aG dialout $USER' and log in "
    "again; of a debug probe, install the tool's udev rules and plug it in again"
)
NO_PROBE = "no debug probe was found: check its cable, and that no other program uses it"
LOCKED = (
    "the chip is locked (read protection): unlock it by the tool's own command, which erases all "
    "that is in it"
)
OTHER_CHIP = "another chip than the board file says: check --board"
UNPLUGGED = "the device went away in the middle: plug it in and flash again"
MISMATCH = "what is in the board's memory is not the image: flash again"
STALLED = "the chip does not answer: check its power and the cable, hold reset, and flash again"

#: Seconds that a port may be away, as some are while their chip is reset.
_WITHOUT_PORT = 12.0

#: Of all tools, tried in this order after their own.
_FAILURES: tuple[Failure, ...] = (
    (r"permission denied|LIBUSB_ERROR_ACCESS|insufficient permissions|EACCES", PERMISSION),
    (r"verification failed|verify failed|contents differ|verification error", MISMATCH),
    (r"read.?out protect|readback protect|AP.?PROTECT|(device|chip|target) is (locked|secured)",
     LOCKED),
    (r"no such device|LIBUSB_ERROR_(NO_DEVICE|IO)|device disconnected|input/output error",
     UNPLUGGED),
)  # fmt: skip


#: Bytes of the largest flash.
_LARGEST = 1 << 28


class FlashRunner(abc.ABC):
    """A tool that writes an image to a board, verifies it, and starts it.

    A new one is a file in this folder with a class that has these and `write`.

    Attributes
    ----------
    NAME
        Of ``--runner`` and of ``runner.order``.
    HELP
        One line: what it writes through, and to which boards.
    TOOL
        The program; None: EdgeFlow writes itself.
    INSTALL
        Command that installs it, and of which system.
    NEEDS_PORT
        Whether it writes through the board's serial port.
    FAILURES
        What its output says of usual failures, beside those of all tools.
    Options
        What ``[runner.options.NAME]`` of a board file may say.

    Parameters
    ----------
    spec : BoardSpec
        Its options for this tool are checked here.
    port : str, optional
        Serial port of the board.

    Raises
    ------
    TargetError
        If an option is not known or has a wrong value; with the board file and the key.
    """

    NAME: ClassVar[str]
    HELP: ClassVar[str]
    TOOL: ClassVar[str | None]
    INSTALL: ClassVar[str]
    NEEDS_PORT: ClassVar[bool] = False
    FAILURES: ClassVar[tuple[Failure, ...]] = ()

    class Options(Spec):
        """None, unless the tool says so."""

    options: Any

    def __init__(self, spec: BoardSpec, port: str | None = None) -> None:
        self.spec = spec
        self.port = port
        try:
            self.options = self.Options.model_validate(_options(spec, self.NAME))
        except ValidationError as error:
            raise self.wrong(first_problem(error)) from None

    @property
    def may_ask(self) -> bool:
        """Whether a board may be asked over its port what it runs before it is written."""
        return True

    def wrong(self, problem: str) -> TargetError:
        """Return the error that something is wrong with an option: ``KEY: what``."""
        where = shown(self.spec.file) if self.spec.file is not None else self.spec.name
        return TargetError(f"{where}: runner.options.{self.NAME}.{problem}")

    @classmethod
    def installed(cls) -> str | None:
        """Return the path of the tool, in PATH or beside this Python; None: it is missing."""
        if cls.TOOL is None:
            return ""
        beside = Path(sys.executable).parent
        return shutil.which(cls.TOOL) or shutil.which(cls.TOOL, path=str(beside))

    @property
    def tool(self) -> str:
        """Path of the tool.

        Raises
        ------
        ToolMissingError
            If it is not installed, with the command that installs it.
        """
        path = self.installed()
        if path is None:
            raise ToolMissingError(f"{self.TOOL} is not installed: {self.INSTALL}")
        return path

    @property
    def log(self) -> Path:
        """File with all that the tool said when it last wrote to such a board."""
        folder = Path(platformdirs.user_cache_dir("edgeflow")) / "flash"
        return folder / f"{self.spec.name}-{self.NAME}.log"

    def flash(self, image: Path) -> None:
        """Write an image, verify what was written, and start it.

        Parameters
        ----------
        image : Path
            ELF file; ``.bin`` and ``.hex`` are beside it.

        Raises
        ------
        ToolMissingError
            If the tool is not installed.
        DeviceError
            If it fails, or what is in the board's memory is another image; a line that says what
            to do.
        PortBusyError
            If another program has the port that it writes through.
        """
        _ = self.tool
        if self.NEEDS_PORT and self.port is None:
            raise DeviceError(f"{self.NAME} writes through the board's port: say its --port")
        with contextlib.suppress(OSError):  # without a log it is written all the same
            self.log.parent.mkdir(parents=True, exist_ok=True)
            self.log.write_bytes(b"")
        # an empty folder: tools read scripts and settings of where they are started
        held = held_port(self.port) if self.NEEDS_PORT and self.port else contextlib.nullcontext()
        with held, tempfile.TemporaryDirectory(prefix="edgeflow-flash-") as scratch:
            self._scratch = Path(scratch).resolve()
            # whatever the user's folders are called, tools see plain names
            for suffix in (".elf", ".bin", ".hex"):
                if (file := image.with_suffix(suffix)).is_file():
                    shutil.copy(file, self._scratch / f"image{suffix}")
            self.write(self._scratch / "image.elf")

    @abc.abstractmethod
    def write(self, image: Path) -> None:
        """Write, verify and start an image, by commands that `run` runs in the image's folder.

        `image` is a copy, ``image.elf``, with ``image.bin`` and ``image.hex`` beside it, in a
        folder of its own that goes afterwards.

        The exit code of a tool is no proof: `demand` the text by which it says that it compared, or
        read the memory back and `compare`.
        """

    def run(
        self, command: Sequence[str | Path], *, codes: Iterable[int] = (0,), cwd: Path | None = None
    ) -> str:
        """Run a command and return all that it said; it also is in the `log`.

        Parameters
        ----------
        command : sequence of str or Path
        codes : iterable of int
            Exit codes that are no failure.
        cwd : Path, optional
            Where it runs instead.

        Raises
        ------
        DeviceError
            If it ends otherwise.
        """
        words = [str(part) for part in command]
        with contextlib.suppress(OSError), self.log.open("a", encoding="utf-8") as file:
            file.write(f"$ {shlex.join(words)}\n")
        child = Child(words, cwd=cwd or self._scratch, log=self.log)
        try:
            code = self._wait(child)
        finally:
            said = child.messages()
            _end(child)
        if code not in codes:
            raise self.failed(said, f"exit code {code}")
        return said

    def _wait(self, child: Child) -> int:
        """Wait for the end of a tool: without its port some go on for ever."""
        deadline = None
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return child.process.wait(0.25)
            # a port of Windows has no path
            if not (self.NEEDS_PORT and self.port is not None and self.port.startswith("/")):
                continue
            now = time.monotonic()
            deadline = None if Path(self.port).exists() else deadline or now + _WITHOUT_PORT
            if deadline is not None and now > deadline:
                raise self.refused(UNPLUGGED)

    def demand(self, pattern: str, said: str) -> None:
        """Raise DeviceError if a tool did not say by `pattern` that it compared."""
        if not re.search(pattern, said):
            raise self.failed(said, "it did not say that it verified what it wrote")

    def beside(self, name: str) -> Path:
        """Return the path of a file that an option names, beside the board file."""
        return Path(name) if self.spec.file is None else self.spec.file.resolve().parent / name

    def binary(self, image: Path, multiple: int = 1) -> tuple[Path, int]:
        """Return a file of the image's bytes and its first address.

        Gaps are filled with 0xFF, and so is the end up to a `multiple` of bytes.

        Raises
        ------
        DeviceError
            If parts of the image are too far from each other for one file.
        """
        parts = segments(image)
        low = min((address for address, _ in parts), default=0)
        size = max((address + len(data) for address, data in parts), default=0) - low
        if not 0 < size <= _LARGEST:
            raise DeviceError(f"{self.spec.name}: an image of {size} bytes is no file for a flash")
        file = image.with_name("whole.bin")
        file.write_bytes(filled(parts, low) + b"\xff" * (-size % multiple))
        return file, low

    def read(self, file: Path, size: int) -> bytes:
        """Return the `size` bytes that a tool read back from the board into a file.

        Raises
        ------
        DeviceError
            If there are fewer.
        """
        data = file.read_bytes() if file.is_file() else b""
        if len(data) < size:
            raise DeviceError(
                f"{self.NAME} read {len(data)} of {size} bytes back to compare: see {self.log}"
            )
        return data[:size]

    def compare(self, image: Path, read: bytes, address: int) -> None:
        """Raise DeviceError if the memory that was read from `address` on is not the image's.

        Parts of the image outside of what was read are not compared.
        """
        for start, data in segments(image):
            low, high = max(start, address), min(start + len(data), address + len(read))
            there, wanted = read[low - address : high - address], data[low - start : high - start]
            if low < high and there != wanted:
                pairs = zip(there, wanted, strict=True)
                at = next(i for i, (one, other) in enumerate(pairs) if one != other)
                raise self.refused(
                    f"verification failed: at 0x{low + at:08x} is 0x{there[at]:02x}, not "
                    f"0x{wanted[at]:02x}: flash again"
                )

    @property
    def chip(self) -> Chip | None:
        """How to tell the board's chip from others; None: the board file does not say."""
        runner = self.spec.runner
        return runner.chip if isinstance(runner, HardwareRunner) else None

    def check_chip(self, chip: Chip, found: int) -> None:
        """Raise DeviceError if the word at a chip's address is another chip's."""
        if found & chip.mask != chip.value & chip.mask:
            raise DeviceError(
                f"{self.NAME} did not flash {self.spec.name}: another chip is connected, with 0x"
                f"{found & chip.mask:x} at 0x{chip.address:08x} instead of "
                f"0x{chip.value & chip.mask:x}: connect that board, or correct --board"
            )

    def refused(self, meaning: str) -> DeviceError:
        """Return the error that says in one line why it is not done and what to do about it."""
        kind = NoProbeError if meaning in (NO_PROBE, UNPLUGGED) else DeviceError
        return kind(f"{self.NAME} could not flash {self.spec.name}: {meaning}")

    def failed(self, said: str, reason: str) -> DeviceError:
        """Return the error that says in one line what failed and what to do about it."""
        for pattern, meaning in (*self.FAILURES, *_FAILURES):
            if re.search(pattern, said, re.IGNORECASE):
                return self.refused(meaning)
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        errors = [line for line in lines if re.search(r"\b(error|failed|fatal)\b", line, re.I)]
        last = (errors or lines)[-1:] or [reason]
        return self.refused(f"{last[0]} (all it said: {self.log})")


def segments(image: Path) -> list[tuple[int, bytes]]:
    """Return the parts of an ELF image that are stored on a board: address and bytes.

    Raises
    ------
    DeviceError
        If it is no ELF file.
    """
    try:
        with image.open("rb") as file:
            return [
                (segment["p_paddr"], segment.data())
                for segment in ELFFile(file).iter_segments("PT_LOAD")
                if segment["p_filesz"] > 0
            ]
    except (ELFError, OSError) as error:
        raise DeviceError(f"{image}: no ELF image ({error}): compile again") from None


def filled(parts: Iterable[tuple[int, bytes]], start: int) -> bytes:
    """Return memory from address `start` to the end of the last part; gaps are 0xFF."""
    content = bytearray()
    for address, data in parts:
        low = address - start
        content.extend(b"\xff" * (low + len(data) - len(content)))
        content[low : low + len(data)] = data
    return bytes(content)


def _options(spec: BoardSpec, name: str) -> Mapping[str, Any]:
    runner = spec.runner
    return runner.options.get(name, {}) if isinstance(runner, HardwareRunner) else {}


def _end(child: Child) -> None:
    """End a tool and all that it started."""
    if child.process.poll() is None:
        with contextlib.suppress(OSError):
            os.killpg(child.process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(2.0)
        with contextlib.suppress(OSError):
            os.killpg(child.process.pid, signal.SIGKILL)
    child.stop(ask=False)

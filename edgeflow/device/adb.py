"""Boards with Android's debug bridge, such as watches: an image is a program there."""

import shlex
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from edgeflow.device.lock import PortLock
from edgeflow.device.process import Child, ProcessBoard
from edgeflow.device.transport import PipeTransport, Transport
from edgeflow.errors import DeviceError
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.elf import Image
from edgeflow.targets.runner import AdbRunner
from edgeflow.targets.tools import find_tool

_TIMEOUT = 60.0  # seconds of one command; an image is some 100 kB
_HELP = {  # what to do, by what adb says
    "unauthorized": "allow this computer on the device's screen, then try again",
    "offline": "wake the device up, or take its cable out and in again",
    "not found": "'adb devices' lists those that are connected",
    "no permissions": "give your user the right to open USB devices (udev rules of Android)",
    "no devices": "connect one by USB, or with 'adb connect ADDRESS', and allow debugging on it",
}


class AdbBoard(ProcessBoard):
    """A device that ``adb`` reaches.

    Flashing copies the image there, reads it back, and starts it; the serial port is the program's
    standard input and output.

    Parameters
    ----------
    spec : BoardSpec
        One with an ``adb`` runner.
    image : path, optional
        ELF file that `flash` writes.
    serial : str, optional
        Which device, as ``adb devices`` lists it; default: the board file's, else the only one.
    """

    # the firmware ends with its input
    _ask_to_stop = False

    def __init__(
        self, spec: BoardSpec, image: str | Path | None = None, *, serial: str | None = None
    ) -> None:
        super().__init__(spec, image)
        assert isinstance(spec.runner, AdbRunner)
        self._runner = spec.runner
        self._serial = serial or spec.runner.serial
        self._lock: PortLock | None = None

    def close(self) -> None:
        super().close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _launch(self, image: Path) -> tuple[Child, Transport]:
        if self._serial is None:
            self._serial = self._only_device()
        self._lock = PortLock(f"adb device {self._serial}", f"adb:{self._serial}")
        if not self._runner.launcher:
            self._check_machine(image)
        there = f"{self._runner.folder}/{image.name}"
        self._copy(image, there)
        self._adb("shell", f"chmod 755 {shlex.quote(there)}")
        words = [*self._runner.launcher, shlex.quote(there)]
        # -T: no terminal, whose line discipline would change bytes
        child = Child([*self._command(), "shell", "-T", *words], pipes=True)
        output, input = child.process.stdout, child.process.stdin
        assert output is not None and input is not None
        return child, PipeTransport(self.spec.name, output, input, child.why_gone)

    def _only_device(self) -> str:
        lines = self._run([find_tool("adb"), "devices"]).splitlines()
        rows = [line.split("\t") for line in lines if "\t" in line]
        if not rows:
            raise self._failed("no devices")
        if len(rows) > 1:
            names = ", ".join(row[0] for row in rows)
            raise DeviceError(
                f"{self.spec.name}: adb sees {len(rows)} devices: say which with --port: {names}"
            )
        return rows[0][0]

    def _check_machine(self, image: Path) -> None:
        wanted = Image(image).isa
        found = self._adb("shell", "uname -m").strip()
        if found != wanted:
            raise DeviceError(
                f"{self.spec.name}: {self._serial} is a device of {found}, the image is for "
                f"{wanted}: choose another device with --port, or compile for a board of {found}"
            )

    def _copy(self, image: Path, there: str) -> None:
        """Write the image and read it back: the way to the device has no checksum of its own."""
        self._adb("push", str(image), there)
        with TemporaryDirectory(prefix="edgeflow-adb-") as folder:
            back = Path(folder) / "back"
            self._adb("pull", there, str(back))
            if back.read_bytes() != image.read_bytes():
                raise DeviceError(
                    f"{self.spec.name}: what {self._serial} holds is not what was written to "
                    f"{there}: check cable or network, then try again"
                )

    def _command(self) -> list[str]:
        assert self._serial is not None
        return [find_tool("adb"), "-s", self._serial]

    def _adb(self, *arguments: str) -> str:
        return self._run([*self._command(), *arguments])

    def _run(self, command: list[str]) -> str:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                timeout=_TIMEOUT,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise DeviceError(
                f"{self.spec.name}: adb did not end within {_TIMEOUT:.0f} s: wake the device up, "
                "then try again"
            ) from None
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if "error" in line]
            said = (lines or (done.stderr + done.stdout).split("\n") or [""])[0]
            raise self._failed(said.removeprefix("adb: ").removeprefix("error: ").strip())
        return done.stdout

    def _failed(self, said: str) -> DeviceError:
        advice = next((text for words, text in _HELP.items() if words in said), "")
        return DeviceError(f"{self.spec.name}: adb: {said}" + (f": {advice}" if advice else ""))

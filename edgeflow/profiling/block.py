"""Many steps on an emulated board at once: frames through files instead of the serial port.

A UART costs an emulator more time than a step. So a copy of the image runs whose functions of the
protocol are others (``tcg/ef_block.c``): they take requests from a file, by semihosting, and write
replies to another. All else, so all of a step, is the image as it is, at its addresses, and the
requests are those of the serial protocol.
"""

import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgeflow.device import protocol
from edgeflow.device.client import check_fault
from edgeflow.device.protocol import Hello, Stats
from edgeflow.device.qemu import QemuBoard
from edgeflow.errors import DeviceError, ProtocolError, TargetError
from edgeflow.resources import resource
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.elf import Image
from edgeflow.targets.tools import find_tool

_SOURCE = Path(__file__).resolve().parent / "tcg" / "ef_block.c"
#: Functions of the image that those of `_SOURCE` are put over, in sections named after them.
_REPLACED = ("ef_cobs_encode", "ef_link_receive", "ef_link_send")
_SECTION = ".at."
_PAGE = 4096  # the three instructions of RISC-V's call of an emulator stand in one
_SIZE = struct.Struct("<I")
_HEADER = struct.Struct("<IBB")
_SESSION = 1
_POLL = 0.1  # seconds
_PATIENCE = 60.0  # seconds without a reply
#: Of QEMU, beside those of its board.
_ARGUMENTS = ("-semihosting-config", "enable=on,target=native")


def block_image(board: BoardSpec, elf: Path, folder: Path) -> Path | None:
    """Return a copy of an image that takes its frames from files; None where it cannot be made.

    Raises
    ------
    TargetError
        If the compiler does not take the source.
    """
    image = Image(elf)
    places = [image.by_name[name] for name in (*_REPLACED, "link") if name in image.by_name]
    if len(places) <= len(_REPLACED):
        return None
    *functions, link = places
    # struct of two words and two frames, each with a CRC behind it
    frame = (link.size - 8) // 2 - 4
    new = folder / "block.elf"
    starts = [f"-Wl,--section-start={_SECTION}{one.name}={one.address:#x}" for one in functions]
    command = [
        find_tool(board.core.compiler), *board.core.flags, "-Os", "-ffreestanding", "-fno-pic",
        "-nostdlib", "-nostartfiles", "-Wl,-e0", "-Wl,--build-id=none", f"-DEF_FRAME_MAX={frame}",
        f"-I{resource('firmware') / 'protocol'}", *starts, str(_SOURCE), "-o", str(new),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise TargetError(f"{_SOURCE.name}: {done.stderr.strip().splitlines()[-1]}")
    content = bytearray(elf.read_bytes())
    code = {section.name: section for section in Image(new).sections}
    for one in functions:
        section = code[_SECTION + one.name]
        last = section.end - 1
        whole = section.address == one.address and section.size <= one.size
        if not whole or section.address // _PAGE != last // _PAGE:
            return None
        at = image.file_offset(one.address)
        content[at : at + section.size] = section.data
    new.write_bytes(content)
    return new


class BlockRun:
    """A run of sequences, each from a reset, on a board of its own; it goes on by itself.

    Parameters
    ----------
    board : BoardSpec
        One that QEMU's system emulation runs.
    image : Path
        As of `block_image`.
    folder : Path
        Where the emulator runs, of its own.
    hello : Hello
        What the image says of itself at the serial port.
    x : sequence of int16 array [steps, inputs]
    forget : sequence of bool
        Whether to return to the trained model before each sequence.
    plugin : sequence of str
        As of `edgeflow.device.open_board`.
    """

    def __init__(
        self,
        board: BoardSpec,
        image: Path,
        folder: Path,
        hello: Hello,
        x: Sequence[np.ndarray],
        forget: Sequence[bool],
        plugin: Sequence[str],
    ) -> None:
        self._name, self._hello = board.name, hello
        self._out = folder / "y"
        self._lengths = [len(one) for one in x]
        self._kinds: list[tuple[int, int]] = []  # type and number of steps of each request
        body = self._requests(x, forget)
        folder.mkdir()
        (folder / "x").write_bytes(body)
        sizes = [_SIZE.size + self._reply_size(*kind) for kind in self._kinds]
        self._ends = np.cumsum(sizes)
        self._steps = np.cumsum([steps for _, steps in self._kinds])
        self._board = _BlockBoard(board, image, plugin=plugin, arguments=_ARGUMENTS, folder=folder)

    def _requests(self, x: Sequence[np.ndarray], forget: Sequence[bool]) -> bytes:
        parts: list[bytes] = []

        def ask(type: int, body: bytes = b"", steps: int = 0) -> None:
            head = _HEADER.pack(_SESSION, type, len(self._kinds) % 256)
            parts.append(_SIZE.pack(len(head) + len(body)) + head + body)
            self._kinds.append((type, steps))

        ask(protocol.HELLO, protocol.encode_hello())
        most = self._hello.max_steps
        for one, forgets in zip(x, forget, strict=True):
            if forgets:
                ask(protocol.FORGET)
            for start in range(0, len(one), most):
                piece = one[start : start + most]
                ask(protocol.STEP, protocol.encode_steps(piece, start == 0), len(piece))
        ask(protocol.STATS)
        return b"".join(parts)

    def _reply_size(self, type: int, steps: int) -> int:
        sizes = {
            protocol.HELLO: 31 + len(self._hello.board) + len(self._hello.version),
            protocol.STEP: 2 + 2 * self._hello.outputs * steps,
            protocol.STATS: 12,
        }
        return _HEADER.size + sizes.get(type, 0)

    def start(self) -> None:
        """Start the emulator.

        Raises
        ------
        DeviceError, ToolMissingError
            As of `Board.flash`.
        """
        self._board.flash()

    @property
    def done(self) -> int:
        """Steps that have run, so far."""
        size = self._out.stat().st_size if self._out.is_file() else 0
        replies = int(np.searchsorted(self._ends, size, side="right"))
        return int(self._steps[replies - 1]) if replies else 0

    def wait(self, progress: Callable[[int], None]) -> None:
        """Wait until all ran; `progress` is called with the steps that have.

        Raises
        ------
        DeviceError
            If the firmware stops, or the emulator ends before or hangs.
        """
        done, deadline = -1, time.monotonic() + _PATIENCE
        while not self._board.ended(_POLL):
            if self.done != done:
                done, deadline = self.done, time.monotonic() + _PATIENCE
                progress(done)
            elif time.monotonic() > deadline:
                raise DeviceError(
                    f"{self._name}: no answer from the board in {_PATIENCE:.0f} s: try again"
                )
        if not self._out.is_file() or self._out.stat().st_size != self._ends[-1]:
            raise DeviceError(
                f"{self._name}: the emulator ended after {self.done} of {self._steps[-1]} steps: "
                "see whether its disk is full, then try again"
            )
        progress(self.done)

    def results(self) -> tuple[list[np.ndarray], Stats | None]:
        """Return the outputs, int16 [steps, outputs], of each sequence that ran to its end.

        The board's counters come with them, where all ran.

        Raises
        ------
        ProtocolError
            If the board refused a request, or answered something else.
        """
        data = self._out.read_bytes() if self._out.is_file() else b""
        parts: list[np.ndarray] = []
        stats, at = None, 0
        for number, (type, steps) in enumerate(self._kinds):
            body_at = at + _SIZE.size + _HEADER.size
            if len(data) < body_at:
                break
            (size,) = _SIZE.unpack_from(data, at)
            end = at + _SIZE.size + size
            if len(data) < end:
                break
            _, kind, sequence = _HEADER.unpack_from(data, at + _SIZE.size)
            if (kind, sequence) != (type | protocol.REPLY, number % 256):
                raise ProtocolError(
                    f"{self._name}: the board refused a message: "
                    f"{protocol.refusal(data[body_at:end])}"
                )
            if type == protocol.STEP:
                body = data[body_at:end]
                parts.append(protocol.decode_steps(body, steps, self._hello.outputs, False)[0])
            elif type == protocol.STATS:
                stats = protocol.decode_stats(data[body_at:end])
            at = end
        y = np.concatenate(parts) if parts else np.empty((0, self._hello.outputs), np.int16)
        ends = np.cumsum(self._lengths)
        whole = int(np.searchsorted(ends, len(y), side="right"))
        return np.split(y[: ends[whole - 1]], ends[: whole - 1]) if whole else [], stats

    def stop(self) -> None:
        """End the emulator."""
        self._board.close()


class _BlockBoard(QemuBoard):
    """An emulator that serves a file once its firmware is in framed mode."""

    _said = b""
    _asked = False

    def ended(self, timeout: float) -> bool:
        """Tell whether the emulator ended as it should, within `timeout` seconds."""
        assert self._child is not None and self._transport is not None
        try:
            self._said += self._transport.read(timeout)
            if not self._asked and b"\n" in self._said:
                # it greeted: what is sent before may be lost
                self._transport.write(protocol.SYNC)
                self._asked = True
        except DeviceError:
            if self._child.process.wait() == 0:
                return True
            raise
        check_fault(self.spec.name, self._said)
        return False

"""gdb, to any gdb server."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

from edgeflow.device.runners.base import MISMATCH, FlashRunner
from edgeflow.targets.spec import Spec


def _server(text: str) -> str:
    # gdb takes "| PROGRAM" for a server, too
    if not re.fullmatch(r"[A-Za-z0-9_.-]*:[0-9]{1,5}|/dev/[A-Za-z0-9_./-]+|COM[0-9]+", text):
        raise ValueError(f"{text!r} is no server: write HOST:PORT, or a serial port")
    return text


class Gdb(FlashRunner):
    """gdb's ``load`` and ``compare-sections``; its exit code is 0 after a mismatch, too."""

    NAME = "gdb"
    HELP = "any gdb server: Black Magic Probe, J-Link, OpenOCD, pyOCD, QEMU"
    TOOL = "gdb-multiarch"
    INSTALL = "sudo apt-get install gdb-multiarch (Debian, Ubuntu), sudo dnf install gdb (Fedora)"
    FAILURES = (
        (r"connection (refused|timed out)|could not connect|no route to host",
         "no gdb server answers there: start it, or correct the option 'server'"),
        (r"MIS-MATCHED", MISMATCH),
        (r"load failed|cannot access memory|error writing|not in flash|memory protected",
         "the server did not take the image: check that it knows the chip's flash, and that the "
         "board file says the right memories"),
        (r"remote connection closed|remote communication error|remote failure",
         "the gdb server went away in the middle: start it and flash again"),
    )  # fmt: skip

    class Options(Spec):
        """``[runner.options.gdb]``.

        Attributes
        ----------
        server
            ``HOST:PORT`` or the serial port of a probe that is its own server.
        reset
            How the server resets: ``reset`` (pyOCD, J-Link), ``halt`` (OpenOCD), or ``none``, where
            gdb itself sets the program counter and the stack pointer.
        scan
            Black Magic Probe: looks for the chip by ``swd`` or ``jtag`` before it attaches.
        """

        server: Annotated[str, AfterValidator(_server)]
        reset: Literal["none", "reset", "halt"] = "none"
        scan: Literal["swd", "jtag"] | None = None

    options: Options

    def write(self, image: Path) -> None:
        # of a file of commands gdb stops at the first that fails
        script = image.with_name("flash.gdb")
        script.write_text("\n".join(self._commands(image)) + "\n")
        said = self.run([self.tool, "-nx", "-batch", "-iex", "set auto-load no", "-x", script.name])
        loaded = re.findall(r"^Loading section (\S+),", said, re.MULTILINE)
        compared = re.findall(r"^Section (\S+), range .*: matched\.", said, re.MULTILINE)
        if not loaded or set(loaded) - set(compared) or "MIS-MATCHED" in said:
            raise self.failed(said, "it did not say that all sections match")

    def _commands(self, image: Path) -> Iterator[str]:
        options = self.options
        yield from ("set confirm off", "set remotetimeout 10", "set tcp connect-timeout 5")
        yield from (f"file {image.name}", f"target extended-remote {options.server}")
        if options.scan is not None:
            yield from (f"monitor {options.scan}_scan", "attach 1")
        if options.reset == "halt":
            yield "monitor reset halt"
        yield from ("load", "compare-sections")
        if options.reset != "none":
            yield "monitor reset run" if options.reset == "halt" else "monitor reset"
        elif self.spec.core.disassembler == "thumb":
            # `load` has set the program counter; a core takes its stack pointer from here
            yield f"set $sp = *(unsigned *)0x{self.spec.memory['flash'].base:x}"
        yield from ("detach", "quit")

"""Packages for the serial boot loader of Nordic chips, by adafruit-nrfutil."""

import zipfile
from pathlib import Path
from typing import Annotated

from pydantic import Field

from edgeflow.device.runners.base import STALLED, FlashRunner, segments
from edgeflow.errors import DeviceError
from edgeflow.targets.spec import Spec

#: Below is the Master Boot Record: the tool leaves out what an image has there, without a word.
_MBR_END = 0x1000


class NrfutilDfu(FlashRunner):
    """The boot loader checks the package's CRC before it starts the image; it can read nothing."""

    NAME = "nrfutil-dfu"
    HELP = "serial boot loaders of nRF52 boards (Adafruit, Seeed XIAO), by a DFU package"
    TOOL = "adafruit-nrfutil"
    INSTALL = "pip install adafruit-nrfutil"
    NEEDS_PORT = True
    FAILURES = (
        (r"no data received|timed? ?out|not able to|failed to upgrade|no response", STALLED),
    )

    class Options(Spec):
        """``[runner.options.nrfutil-dfu]``.

        Attributes
        ----------
        device_type
            Kind of chip that the boot loader accepts; 0x52 is nRF52.
        touch
            Whether opening the port at 1200 baud starts the boot loader.
        """

        device_type: Annotated[int, Field(ge=0, lt=1 << 16)] = 0x52
        touch: bool = True

    options: Options

    def write(self, image: Path) -> None:
        parts = segments(image)
        lowest = min((address for address, _ in parts), default=0)
        if lowest < _MBR_END:
            raise DeviceError(
                f"nrfutil-dfu could not flash {self.spec.name}: the image begins at 0x{lowest:x}, "
                "in the boot loader's own record: [memory.flash] must begin where its "
                "applications do"
            )
        package = image.with_suffix(".zip")
        kind = f"0x{self.options.device_type:04x}"
        self.run(
            [self.tool, "dfu", "genpkg", "--dev-type", kind, "--application", "image.hex",
             package.name]
        )  # fmt: skip
        self._check(package, image)
        touch = ["--touch", "1200"] if self.options.touch else []
        assert self.port is not None
        said = self.run(
            [self.tool, "dfu", "serial", "--package", package.name, "--port", self.port,
             "--baudrate", "115200", "--singlebank", *touch]
        )  # fmt: skip
        self.demand("Device programmed", said)

    def _check(self, package: Path, image: Path) -> None:
        """Raise DeviceError if the package has not all of the image."""
        try:
            with zipfile.ZipFile(package) as files:
                content = next(files.read(n) for n in files.namelist() if n.endswith(".bin"))
        except (OSError, zipfile.BadZipFile, StopIteration):
            content = b""
        lowest = min(address for address, _ in segments(image))
        end = max(address + len(data) for address, data in segments(image))
        if len(content) < end - lowest:
            raise DeviceError(
                f"nrfutil-dfu could not flash {self.spec.name}: its package has {len(content)} of "
                f"{end - lowest} bytes of the image: see {self.log}"
            )
        self.compare(image, content, lowest)

"""What QEMU is started with to count the instructions of each step on an emulated board."""

import struct
from pathlib import Path
from typing import NamedTuple

from edgeflow.errors import TargetError
from edgeflow.files import atomic_path
from edgeflow.profiling.classes import classify
from edgeflow.profiling.plugin import build_plugin, check_qemu
from edgeflow.targets.elf import Image
from edgeflow.targets.part import DataCache

MARKERS = ("begin", "layer", "end")


class Trace(NamedTuple):
    """The plugin that counts, as `edgeflow.device.open_board` takes it, and where its counts go."""

    plugin: list[str]
    out: Path

    def to(self, out: Path) -> "Trace":
        """Return the same for another emulator, whose counts go to `out`."""
        others = [text for text in self.plugin if not text.startswith("out=")]
        return Trace([*others, f"out={out.resolve()}"], out)


def write_map(image: Image, path: Path) -> None:
    """Write the classes of all instructions of an image for the plugin."""
    stretches = image.code()
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(b"EFMAP 1\n" + struct.pack("<I", len(stretches)))
        for address, data in stretches:
            classes = classify(image.isa, data, address)
            file.write(struct.pack("<QQ", address, len(data)) + classes)


def prepare_trace(
    elf: str | Path, folder: str | Path, *, qemu: str, data_cache: DataCache | None = None
) -> Trace:
    """Prepare counting for an image that was built with ``-DEF_PROFILE``.

    Parameters
    ----------
    elf
        The linked firmware.
    folder
        Folder of ``classes.map`` and ``counts.bin``.
    qemu
        Name of the emulator, such as ``qemu-system-arm``.
    data_cache
        Counts also the lines that this cache would fetch from read-only memory, which is where
        no section is copied to at start.

    Raises
    ------
    TargetError
        If the image has no marker functions or no fixed address.
    ToolMissingError
        If QEMU is missing or too old, or the plugin cannot be built.
    """
    image = Image(elf)
    check_qemu(qemu)
    if not image.fixed_address:
        raise TargetError(
            f"{elf}: cannot be profiled since it is relocatable: link it with -no-pie"
        )
    options = {}
    for name in MARKERS:
        symbol = image.by_name.get(f"ef_profile_{name}")
        if symbol is not None:
            options[name] = f"{symbol.address:#x}:{max(symbol.size, 1)}"
        elif name != "layer":
            raise TargetError(
                f"{elf}: cannot be profiled, there is no ef_profile_{name} in it: "
                "compile it with -DEF_PROFILE"
            )
    if data_cache is not None:
        start, size = _read_only(image)
        options |= {
            "rom": f"{start:#x}:{size}",
            "line": str(data_cache.line_bytes),
            "lines": str(data_cache.lines),
        }
    folder = Path(folder).resolve()
    options["map"] = str(folder / "classes.map")
    write_map(image, folder / "classes.map")
    out = folder / "counts.bin"
    options["out"] = str(out)
    out.unlink(missing_ok=True)
    try:
        library = build_plugin()
    except OSError:  # no cache to keep it in
        library = build_plugin(folder)
    return Trace([str(library), *(f"{key}={value}" for key, value in options.items())], out)


def _read_only(image: Image) -> tuple[int, int]:
    sections = [s for s in image.sections if not s.writable and not s.copied]
    start = min(section.address for section in sections)
    return start, max(section.end for section in sections) - start

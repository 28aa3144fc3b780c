"""Apps of watches compiled with the flags of their makers' tools, and what they take."""

import re
from collections.abc import Sequence
from pathlib import Path

from tests.parity.export.machines import ECOSYSTEMS, tell

PEBBLE = ECOSYSTEMS / "pebble"
INFINITIME = ECOSYSTEMS / "infinitime"
#: Of the SDK 4.33, `tools/waf/pebble_sdk_gcc.py` of PebbleOS.
PEBBLE_FLAGS = (
    "-std=c99", "-mthumb", "-ffunction-sections", "-fdata-sections", "-fcommon", "-fPIE", "-Os",
    "-Wall", "-Wextra", "-Werror",
)  # fmt: skip
#: Of InfiniTime's `src/CMakeLists.txt`, as far as the app's sources meet them.
INFINITIME_FLAGS = (
    "-mthumb", "-mabi=aapcs", "-ftree-vrp", "-ffunction-sections", "-fdata-sections", "-Os",
    "-fno-strict-aliasing", "-fno-builtin", "-fshort-enums", "-mcpu=cortex-m4", "-mfloat-abi=hard",
    "-mfpu=fpv4-sp-d16", "-fno-exceptions", "-fno-non-call-exceptions", "--specs=nano.specs",
    "-Wall", "-Wextra", "-Wformat=2", "-Wformat-nonliteral", "-Wno-missing-field-initializers",
    "-Werror",
)  # fmt: skip


def _bytes(file: Path) -> int:
    *_, row = tell(["arm-none-eabi-size", file]).splitlines()
    return sum(map(int, row.split()[:3]))


def pebble_bytes(app: Path, folder: Path, cpu: str = "cortex-m3") -> int:
    """Link an app but for the SDK's functions; return all that it takes of the watch's memory."""
    image = folder / "app.elf"
    tell(["arm-none-eabi-gcc", f"-mcpu={cpu}", *PEBBLE_FLAGS, f"-I{PEBBLE}",
          "-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections,-e,main",
          "-Wl,--unresolved-symbols=ignore-all", *sorted((app / "src" / "c").glob("*.c")),
          "-o", image])  # fmt: skip
    return _bytes(image)


def infinitime_sources(app: Path, name: str) -> list[Path]:
    """Return what the app's own CMake file adds to the firmware: all sources there are."""
    text = (app / "src" / "components" / name / f"{name}.cmake").read_text()
    listed = text.partition(f"set({name}_sources")[2].partition(")")[0].split()
    (own,) = re.findall(r"list\(APPEND SOURCE_FILES \$\{\w+_sources\} (\S+)\)", text)
    sources = [app / "src" / file for file in (*listed, own)]
    there = {path for path in (app / "src").rglob("*") if path.suffix in (".c", ".S", ".cpp")}
    assert set(sources) == there
    return sources


def compiled(
    prefix: str, sources: Sequence[Path], flags: Sequence[str], folder: Path
) -> list[Path]:
    """Return the objects of C and C++ sources."""
    objects = []
    for source in sources:
        compiler, standard = ("g++", "c++20") if source.suffix == ".cpp" else ("gcc", "gnu99")
        target = folder / f"{source.name}.o"
        tell([f"{prefix}{compiler}", f"-std={standard}", *flags, "-c", source, "-o", target])
        objects.append(target)
    return objects


def infinitime_bytes(app: Path, name: str, folder: Path) -> int:
    """Compile an app, named `name` in small letters; return what it adds to the firmware."""
    flags = [*INFINITIME_FLAGS, f"-I{app / 'src'}", f"-I{INFINITIME}"]
    flags += ["-idirafter", str(INFINITIME / "freestanding")]
    objects = compiled("arm-none-eabi-", infinitime_sources(app, name), flags, folder)
    method = f"{len(name) + 3}{name.title()}App7Refresh"
    keep = f"-Wl,--gc-sections,-r,-u,_ZN8Pinetime12Applications7Screens{method}Ev"
    tell(["arm-none-eabi-gcc", "-nostdlib", keep, *objects, "-o", folder / "app.o"])
    return _bytes(folder / "app.o")

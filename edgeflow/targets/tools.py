"""External tools (compilers, emulators): where they are, and what installs them."""

import shutil
from collections.abc import Iterable
from importlib import metadata

from edgeflow.errors import ToolMissingError

# Packages of Debian and Ubuntu; a compiler comes with the C library that it needs.
_PACKAGES = {
    "arm-none-eabi-gcc": ("gcc-arm-none-eabi", "libnewlib-arm-none-eabi"),
    "riscv64-unknown-elf-gcc": ("gcc-riscv64-unknown-elf", "picolibc-riscv64-unknown-elf"),
    "aarch64-linux-gnu-gcc": ("gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"),
    "gcc": ("gcc", "libc6-dev"),
    "qemu-system-arm": ("qemu-system-arm",),
    "qemu-system-riscv32": ("qemu-system-misc",),
    "qemu-aarch64": ("qemu-user",),
    "avr-gcc": ("gcc-avr", "avr-libc"),
    "simavr": ("simavr", "libsimavr-dev", "libelf-dev"),
}


def debian_packages(tools: Iterable[str]) -> list[str]:
    """Return the packages of Debian and Ubuntu that hold `tools`."""
    packages = [package for tool in tools for package in _PACKAGES.get(tool, (tool,))]
    return list(dict.fromkeys(packages))


def apt_command(tools: Iterable[str]) -> str:
    """Return the one command that installs `tools` on Debian and Ubuntu."""
    return "sudo apt-get install " + " ".join(debian_packages(tools))


def find_tool(name: str) -> str:
    """Return the path of a tool in PATH.

    Raises
    ------
    ToolMissingError
        With the command that installs it.
    """
    path = shutil.which(name)
    if path is None:
        raise ToolMissingError(f"{name} is not installed: {apt_command([name])}")
    return path


def missing_tools(names: Iterable[str]) -> list[str]:
    """Return those of `names` that are not in PATH."""
    return [name for name in names if shutil.which(name) is None]


def package_version(name: str) -> str | None:
    """Return the version of an installed Python package; None: it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None

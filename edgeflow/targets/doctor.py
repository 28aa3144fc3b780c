"""Tools and packages that EdgeFlow needs: which are there, and what installs the others."""

import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edgeflow.resources import resource
from edgeflow.targets.board import BoardSpec, list_boards
from edgeflow.targets.tools import apt_command, debian_packages, package_version

DEFAULT_BOARD = "qemu-m4"  # of `edgeflow demo`
PLUGIN_COMPILER = "gcc"  # builds the counting plugin for QEMU
EXPORT_TOOLS = {  # build what `edgeflow export` writes, on this machine
    "cmake": "exported CMake packages",
    "g++": "exported Arduino libraries",
}
EXTRAS = {  # optional parts: the extra of `pip install edgeflow[...]`, and what needs it
    "apache-tvm": ("tvm", "code by TVM"),
    "ai-edge-litert": ("litert", "LiteRT files"),
    "ziglang": ("web", "packages for the web"),
    "nir": ("nir", "NIR models"),
    "pythondata-cpu-ibex": ("rtl", "rtl-ibex, rtl-ibex-zbb"),
    "pythondata-cpu-cv32e40p": ("rtl", "rtl-cv32e40p"),
}


@dataclass(frozen=True)
class Check:
    """One thing that EdgeFlow needs.

    Attributes
    ----------
    name
        Tool or Python package.
    kind
        ``tool`` or ``python``; of one board also ``flash`` or ``port``.
    needed_for
        Boards or part of EdgeFlow.
    required
        True if ``edgeflow demo`` needs it, or one board if that is looked at.
    version
        None where it is missing or does not tell.
    problem
        The fault; None where all is well.
    install
        What installs it; "" where that is a Debian package.
    """

    name: str
    kind: str
    needed_for: str
    required: bool
    version: str | None
    problem: str | None
    install: str = ""

    @property
    def ok(self) -> bool:
        """True where nothing is wrong."""
        return self.problem is None


def examine() -> list[Check]:
    """Look for every tool and Python package, those for the demo first."""
    checks = _tools(list_boards()) + _packages()
    return sorted(checks, key=lambda check: (check.kind != "tool", not check.required))


def install_command(checks: list[Check]) -> str | None:
    """Return one shell command that installs all that is missing; None if nothing is."""
    tools = _missing(checks)
    packages = [check for check in checks if check.kind == "python" and not check.ok]
    commands = [apt_command(tools)] if tools else []
    if packages:
        wanted = [EXTRAS[check.name][0] for check in packages if check.name in EXTRAS]
        extras = ",".join(dict.fromkeys(wanted))
        name = f"'edgeflow[{extras}]'" if extras else "edgeflow"
        commands.append(f"{sys.executable} -m pip install --upgrade {name}")
    return " && ".join(commands) or None


def missing_packages(checks: list[Check]) -> list[str]:
    """Return the packages of Debian and Ubuntu with the tools that are missing."""
    return debian_packages(_missing(checks))


def _missing(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if check.kind == "tool" and not check.ok]


def _tools(boards: list[BoardSpec]) -> list[Check]:
    users: dict[str, list[BoardSpec]] = {}
    for board in boards:
        for tool in board.tools:
            users.setdefault(tool, []).append(board)
    checks = []
    for tool, needing in users.items():
        names = [board.name for board in needing]
        if tool == PLUGIN_COMPILER:
            names += ["counting instructions", "fast runs of programs on this machine"]
        if tool in EXPORT_TOOLS:
            names.append(EXPORT_TOOLS[tool])
        required = DEFAULT_BOARD in names or tool == PLUGIN_COMPILER
        checks.append(check_tool(tool, ", ".join(names), required, needing))
    others = {tool: what for tool, what in EXPORT_TOOLS.items() if tool not in users}
    return checks + [check_tool(tool, what, False, []) for tool, what in others.items()]


def check_tool(name: str, needed_for: str, required: bool, boards: list[BoardSpec]) -> Check:
    """Look for a tool; a compiler must have the C libraries of the boards."""
    path = shutil.which(name)
    problem = _tool_problem(path, boards) if path else "not installed"
    return Check(name, "tool", needed_for, required, tool_version(path) if path else None, problem)


def _tool_problem(path: str, boards: list[BoardSpec]) -> str | None:
    """Return the fault of an installed tool."""
    if Path(path).name.endswith("gcc"):
        for core in {board.core.name: board.core for board in boards}.values():
            # the compiler gives the bare name back when it does not find the file
            library = core.specs or "libc.a"
            found = _output([path, *core.flags, f"-print-file-name={library}"]).strip()
            if not Path(found).is_absolute():
                return f"its C library is not installed (no {library})"
        return None
    if Path(path).name == "simavr":
        headers = ["-include", "simavr/sim_avr.h", "-include", "libelf.h"]
        declared = _output([PLUGIN_COMPILER, *headers, "-E", "-xc", "/dev/null"])
        if not all(name in declared for name in ("avr_make_mcu_by_name", "elf_begin")):
            return "its headers are not installed (simavr/sim_avr.h, libelf.h)"
        return None
    if Path(path).name.startswith("qemu-system") and "-plugin" not in _output([path, "--help"]):
        return "built without plugins, which count instructions"
    return None


def _packages() -> list[Check]:
    checks = []
    for requirement in _requirements():
        match = re.match(r"[\w.-]+", requirement)
        minimum = re.search(r">=\s*([\d.]+)", requirement)
        if match is not None:
            checks.append(check_package(match[0], "edgeflow", True, minimum[1] if minimum else ""))
    return checks + [check_package(name, what, False) for name, (_, what) in EXTRAS.items()]


def check_package(name: str, needed_for: str, required: bool, minimum: str = "") -> Check:
    """Look for a Python package, of at least a version."""
    version = package_version(name)
    problem = None if version else "not installed"
    if version and minimum and _numbers(version) < _numbers(minimum):
        problem = f"too old: needs {minimum}"
    return Check(name, "python", needed_for, required, version, problem)


def _requirements() -> list[str]:
    try:
        listed = metadata.requires("edgeflow") or []
    except metadata.PackageNotFoundError:  # a source tree that was never installed
        project = resource("targets").parent / "pyproject.toml"
        listed = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    return [requirement for requirement in listed if "extra ==" not in requirement]


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"[\d.]*\d", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def tool_version(path: str) -> str | None:
    """Return the version that a tool tells of itself; None if it tells none."""
    match = re.search(r"\b\d+\.\d+(\.\d+)?", _output([path, "--version"]))
    return match[0] if match else None


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout

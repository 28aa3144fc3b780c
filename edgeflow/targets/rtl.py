"""RTL of cores: what ``targets/rtl/<core>/core.toml`` says, and the simulator that is made of it.

The RTL is in a Python package that the user installs. Verilator makes C++ of it, and the compiler
with ``targets/rtl/machine.cpp``, which is the memories and the serial port, a program that is kept
in the cache.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from importlib import metadata
from pathlib import Path

import platformdirs
from pydantic import Field

from edgeflow.cache import keeping
from edgeflow.digest import is_whole
from edgeflow.errors import EdgeFlowError, ToolMissingError
from edgeflow.files.lock import held
from edgeflow.progress import StageProgress, silent
from edgeflow.resources import resource
from edgeflow.targets.spec import Spec, read_toml, unknown, validate
from edgeflow.targets.tools import apt_command, find_tool, package_version

#: Programs that make a simulator.
TOOLS = ("verilator", "make", "g++")
#: The extra of EdgeFlow that has the packages with RTL.
EXTRA = "rtl"
# Assertions are those of the core's own verification. -O1 is as fast as -O2 here, and made sooner.
_VERILATOR = (
    "--cc", "--exe", "--top-module", "machine", "-O3", "--x-assign", "fast", "--x-initial", "fast",
    "--noassert", "-Wno-fatal", "-Wno-lint", "-Wno-style",
)  # fmt: skip
_MAKE = ("OPT_FAST=-O1", "OPT_GLOBAL=-O1", "OPT_SLOW=-O0")
_PROGRAM = "Vmachine"
_WAIT = 600.0  # seconds for another process that makes the same


class Configuration(Spec):
    """Parameters of a core.

    Attributes
    ----------
    defines
        Macros of Verilog, ``NAME`` or ``NAME=VALUE``.
    """

    defines: tuple[str, ...] = ()


class RtlCore(Spec):
    """A core as RTL.

    Attributes
    ----------
    name, description
        `name` is that of its folder.
    package
        Python package with the sources.
    folder
        Where they are, below the folder that packages are installed in.
    defines
        Macros of Verilog that all configurations have.
    include
        Folders of sources that are found by the name of their module.
    sources
        Files to read first, in order.
    flags
        Of Verilator, where it needs more.
    configurations
        By name.
    """

    name: str
    description: str
    package: str
    folder: str
    defines: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    configurations: dict[str, Configuration] = Field(min_length=1)

    @property
    def version(self) -> str | None:
        """Version of the package; None: it is not installed."""
        return package_version(self.package)

    def installed(self) -> Path:
        """Return the folder of the sources.

        Raises
        ------
        ToolMissingError
            If the package is not installed.
        """
        if self.version is not None:
            path = Path(str(metadata.distribution(self.package).locate_file(self.folder)))
            if path.is_dir():
                return path
        raise ToolMissingError(
            f"the RTL of {self.description} is not installed: pip install 'edgeflow[{EXTRA}]' (or "
            f"{self.package})"
        )


@cache
def load_rtl_core(name: str) -> RtlCore:
    """Load a core of ``targets/rtl``.

    Raises
    ------
    TargetError
        Unknown name, or a file with something wrong in it.
    """
    files = {file.parent.name: file for file in (resource("targets") / "rtl").glob("*/core.toml")}
    if name not in files:
        raise EdgeFlowError(unknown("RTL", name, sorted(files)))
    return validate(RtlCore, {**read_toml(files[name]), "name": name}, files[name])


def build_simulator(
    core: RtlCore,
    configuration: str,
    *,
    cache_dir: Path | None = None,
    progress: StageProgress = silent,
) -> Path:
    """Return the path of a core's simulator, making it if the cache lacks it.

    Its name holds a hash of all that it is made of. A damaged file is made again; of two processes
    the second waits for the first.

    Parameters
    ----------
    core : RtlCore
    configuration : str
        One of the core's.
    cache_dir : Path, optional
        Instead of the user's cache.
    progress : StageProgress
        Called when it has to be made, which takes about half a minute.

    Raises
    ------
    ToolMissingError
        If the package, Verilator or a C++ compiler is missing, or cannot make it.
    EdgeFlowError
        If the cache cannot be written to, or another process does not come to an end.
    """
    sources = core.installed()
    tools = {name: find_tool(name) for name in TOOLS}
    ours = [resource("targets") / "rtl" / "machine.cpp", _folder(core) / "machine.sv"]
    options = [
        *_VERILATOR,
        *core.flags,
        *(f"+define+{one}" for one in core.defines),
        *(f"+define+{one}" for one in core.configurations[configuration].defines),
        *(f"-I{sources / one}" for one in core.include),
        *(str(sources / one) for one in core.sources),
        *(str(file) for file in reversed(ours)),
    ]
    versions = [core.version or "", *(_version(tools[name]) for name in ("verilator", "g++"))]
    key = hashlib.sha256("\0".join([*options, *_MAKE, *versions, os.uname().machine]).encode())
    for file in ours:
        key.update(file.read_bytes())
    folder = cache_dir or Path(platformdirs.user_cache_dir("edgeflow"))
    program = folder / f"rtl-{core.name}-{configuration}-{key.hexdigest()[:16]}"
    try:
        if not is_whole(program):
            with held(program.with_suffix(".lock"), program, wait=_WAIT):
                if not is_whole(program):  # another process may have made it meanwhile
                    with keeping(program) as temporary:
                        _make(options, tools, temporary, f"building {core.description}", progress)
        program.chmod(0o755)
    except OSError as error:
        raise EdgeFlowError(
            f"{program}: the simulator cannot be kept ({error.strerror}): make room, or name "
            "another folder in XDG_CACHE_HOME"
        ) from None
    return program


def _make(
    options: list[str], tools: dict[str, str], program: Path, title: str, progress: StageProgress
) -> None:
    with tempfile.TemporaryDirectory(prefix="edgeflow-rtl-") as made:
        jobs = str(len(os.sched_getaffinity(0)))
        commands = (
            [tools["verilator"], *options, "-Mdir", made],
            [tools["make"], "-s", "-C", made, "-f", f"{_PROGRAM}.mk", "-j", jobs, *_MAKE],
        )
        for number, command in enumerate(commands):
            progress(title, number, len(commands))
            # these would change what is made
            changing = ("MAKEFLAGS", "MFLAGS", "CXX", "CXXFLAGS", "VERILATOR_ROOT")
            environment = {k: v for k, v in os.environ.items() if k not in changing}
            result = subprocess.run(
                command, capture_output=True, text=True, errors="replace", check=False,
                env=environment,
            )  # fmt: skip
            if result.returncode != 0:
                lines = (result.stderr or result.stdout).strip().splitlines() or ["no message"]
                reason = next((line for line in lines if "rror" in line), lines[-1])
                raise ToolMissingError(
                    f"{Path(command[0]).name} cannot make the simulator ({reason}): "
                    f"{apt_command(TOOLS)}"
                )
        progress(title, len(commands), len(commands))
        shutil.copyfile(Path(made) / _PROGRAM, program)


def _folder(core: RtlCore) -> Path:
    return resource("targets") / "rtl" / core.name


@cache
def _version(tool: str) -> str:
    done = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or [""])[0]

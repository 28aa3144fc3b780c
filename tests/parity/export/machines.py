"""Where exported libraries are built and run: this machine, and QEMU's Cortex-M4 without a runtime."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeflow.targets.board import load_board
from edgeflow.targets.runner import QemuRunner

ECOSYSTEMS = Path(__file__).parent / "ecosystems"
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")


def tell(command: Sequence[str | Path], folder: Path | None = None, **options: object) -> str:
    """Run a command; return its output, or fail with it."""
    done = subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=300, **options
    )  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)


@dataclass(frozen=True)
class Machine:
    """A compiler, and what runs its programs."""

    prefix: str
    flags: tuple[str, ...]
    link_flags: tuple[str, ...]
    emulator: tuple[str, ...]

    def compile(self, source: Path, folder: Path, *flags: str) -> Path:
        """Compile a file by its suffix; .ino as Arduino does, in C++."""
        target = folder / f"{source.parent.name}_{source.name}.o"
        kind = ["-x", "c++", "-include", "Arduino.h"] if source.suffix == ".ino" else []
        compiler = f"{self.prefix}{'g++' if kind else 'gcc'}"
        standard = [] if kind or source.suffix == ".S" else ["-std=c99"]
        tell(
            [
                compiler,
                *self.flags,
                *standard,
                "-O2",
                *WARNINGS,
                *flags,
                *kind,
                "-c",
                source,
                "-o",
                target,
            ]
        )
        return target

    def link(self, objects: Sequence[Path], program: Path) -> Path:
        tell(
            [
                f"{self.prefix}gcc",
                *self.flags,
                *objects,
                *self._start(program.parent),
                "-o",
                program,
            ]
        )
        return program

    def run(self, program: Path) -> str:
        return tell([*self.emulator, program])

    def toolchain(self, folder: Path) -> Path:
        """Write the file that tells CMake of the machine."""
        file = folder / "toolchain.cmake"
        folder.mkdir(parents=True, exist_ok=True)
        flags = " ".join((*self.flags, *WARNINGS))
        lines = [
            f"set(CMAKE_C_COMPILER {self.prefix}gcc)",
            f'set(CMAKE_C_FLAGS_INIT "{flags}")',
        ]
        if self.prefix:
            start = " ".join(map(str, self._start(folder)))
            lines += [
                "set(CMAKE_SYSTEM_NAME Generic)",
                "set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)",
                f'set(CMAKE_EXE_LINKER_FLAGS_INIT "{start}")',
            ]
        file.write_text("\n".join(lines) + "\n")
        return file

    def cmake(self, source: Path, build: Path, *options: str, **environment: object) -> Path:
        """Configure and build a CMake project."""
        toolchain = self.toolchain(build)
        tell(["cmake", "-S", source, "-B", build, f"-DCMAKE_TOOLCHAIN_FILE={toolchain}",
              "-DCMAKE_BUILD_TYPE=Release", "-Werror=dev", *options], **environment)  # fmt: skip
        tell(["cmake", "--build", build], **environment)
        return build

    def _start(self, folder: Path) -> list[str | Path]:
        if not self.prefix:
            return []
        return [self.compile(ECOSYSTEMS / "start_cortexm.c", folder), *self.link_flags]


HOST = Machine("", (), (), ())


def cortex_m4() -> Machine:
    board = load_board("qemu-m4")
    assert isinstance(board.runner, QemuRunner)
    return Machine(
        board.core.prefix,
        board.core.flags,
        # newlib on the debugger's console; its default addresses are in the machine's first memory
        ("--specs=rdimon.specs", "-Wl,--section-start=.vectors=0"),
        (board.runner.emulator, "-M", board.runner.machine, "-display", "none", "-monitor", "none",
         "-serial", "none", "-semihosting-config", "enable=on,target=native", "-kernel"),
    )  # fmt: skip

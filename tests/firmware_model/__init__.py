"""The firmware around a stand-in model, built for any board; and what that model computes."""

import subprocess
from pathlib import Path

import numpy as np

from edgeflow.resources import resource
from edgeflow.targets.board import load_board
from edgeflow.targets.toolchain import (
    board_defines,
    board_include_dirs,
    board_sources,
    compile_sources,
    link,
)

BUILD_ID = bytes.fromhex("00ff1122334455aa")
MODEL_HASH = bytes.fromhex("123456789abcdef0")
INPUTS, OUTPUTS, WINDOW = 6, 7, 40
VERSION = "1.2.3"
_HERE = Path(__file__).parent
_FIRMWARE = resource("firmware")


def sources() -> list[Path]:
    """Return the C files that are the same on all boards."""
    folders = (_FIRMWARE / "runtime", _FIRMWARE / "protocol", _HERE)
    return [file for folder in folders for file in sorted(folder.glob("*.c"))]


def include_dirs() -> list[Path]:
    return [*board_include_dirs(), _FIRMWARE / "protocol", _FIRMWARE / "kernels", _HERE]


def build_image(
    name: str,
    folder: Path,
    *,
    optimise: str = "-O2",
    build_id: bytes = BUILD_ID,
    called: str | None = None,
) -> Path:
    """Build ``folder/firmware.elf`` for a board, which tells a number and another name if asked."""
    board = load_board(name)
    objects = compile_sources(
        board.core,
        [*board_sources(board), *sources()],
        folder / "objects",
        include_dirs=include_dirs(),
        defines=board_defines(board)
        | {
            "EF_BOARD_NAME": f'"{called or name}"',
            "EF_VERSION": f'"{VERSION}"',
            "EF_PROFILE": "1",
            "EF_BUILD_ID": _initialiser(build_id),
        },
        extra_flags=[optimise],
    )
    return link(board, objects, folder / "firmware.elf")


def build_sanitized(files: list[Path], output: Path) -> Path:
    """Build a program of this machine that stops at the first undefined behaviour."""
    subprocess.run(
        [
            "gcc", "-std=c99", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror",
            "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
            '-DEF_BOARD_NAME="host"', f'-DEF_VERSION="{VERSION}"',
            f"-DEF_BUILD_ID={_initialiser(BUILD_ID)}",
            *(f"-I{folder}" for folder in include_dirs()),
            *map(str, files), "-o", str(output),
        ],
        check=True,
    )  # fmt: skip
    return output


def _initialiser(number: bytes) -> str:
    return f"{{{','.join(map(str, number))}}}"


def run_model(x: np.ndarray) -> np.ndarray:
    """Return what the stand-in model answers to x [n, INPUTS] after a reset."""
    y = np.zeros((len(x), OUTPUTS), np.int64)
    sums = np.zeros(INPUTS, np.int64)
    for step, sample in enumerate(x.astype(np.int64)):
        sums = np.clip(sums + sample, -32768, 32767)
        y[step] = [*sums, min(step + 1, 32767)]
    return y.astype(np.int16)

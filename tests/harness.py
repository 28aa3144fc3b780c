"""What a board computes, against the reference: many programs in one image.

An image is the product's own: its kernels, runtime and protocol, compiled by
``edgeflow.codegen.build``. Only ``model.c`` is another: it hands each window to the program that
its first input names. One build and one boot serve all programs of a board, where a build and a
boot a program would take most of the time of the tests.
"""

import dataclasses
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeflow.codegen.image import compile_image, frame_size
from edgeflow.codegen.kernels import choose_kernel
from edgeflow.codegen.plan import plan_library
from edgeflow.codegen.render import render, write
from edgeflow.device import open_board
from edgeflow.errors import TargetError
from edgeflow.program import InputFormat, Linear, Matrix, Program
from edgeflow.targets.board import BoardSpec, list_boards, load_board
from edgeflow.targets.tools import missing_tools, package_version
from tests.random_programs import samples

#: Boards that run any program here, and each with every kernel set of its core. Others have tests of
#: their own: qemu-f405 has the kernels of qemu-m4, AVR little memory, and RTL is slow.
BOARDS = [
    board.name
    for board in list_boards()
    if (board.emulated or board.uart is None) and board.name != "qemu-f405"
]
BOARD_SETS = [(name, kernels) for name in BOARDS for kernels in load_board(name).core.kernels]
#: Boards with another one's instructions and kernels, or a few more. `test_boards.py` runs the
#: kernels of them all; other tests run on them with the slow ones.
SISTERS = ("qemu-m7", "qemu-m33", "qemu-rv32-zbb", "qemu-a55")
#: A board for each kernel set: the smallest that has it, this machine for portable C.
HOME = {kernels: board for board, kernels in reversed(BOARD_SETS)} | {"c": "host"}


def sisters_slow(rows: Iterable[str | tuple[str, str]]) -> list[Any]:
    """Return boards, or boards and more, as parameters of tests: those of `SISTERS` are slow."""
    params = []
    for row in rows:
        values = (row,) if isinstance(row, str) else row
        params.append(pytest.param(*values, marks=[pytest.mark.slow] * (values[0] in SISTERS)))
    return params


@dataclass(frozen=True)
class Case:
    """A program, the kernels that must compute it, and what it reads.

    Parameters
    ----------
    program : Program
    kernels : sequence of str
        Kernel sets or kernels in order of preference; none: as ``edgeflow compile`` chooses.
    x : int16 array [windows, time, inputs], optional
        Default: 8 windows of 40 random samples, extreme ones among them.
    """

    program: Program
    kernels: Sequence[str] = ()
    x: np.ndarray | None = None

    @property
    def samples(self) -> np.ndarray:
        return samples(self.program, 7, windows=8, time=40) if self.x is None else self.x


def need_rtl(board: BoardSpec) -> None:
    """Skip where the simulator of an RTL board cannot be made; CI must have all for it."""
    missing = missing_tools(board.tools) if board.packages else []
    missing += [name for name in board.packages if package_version(name) is None]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"{missing[0]} is not installed: run 'edgeflow doctor'")


def mismatches(board: str, cases: Mapping[str, Case], folder: Path) -> dict[str, int]:
    """Return the number of steps, by the case's name, whose outputs are not the reference's."""
    wrong = {}
    for name, y in run_on(board, cases, folder).items():
        case = cases[name]
        wrong[name] = int((y != case.program.run(case.samples)).any(axis=-1).sum())
    return wrong


def none_of(cases: Mapping[str, Case]) -> dict[str, int]:
    """Return what `mismatches` should: no wrong step of any case."""
    return dict.fromkeys(cases, 0)


def run_on(board: str, cases: Mapping[str, Case], folder: Path) -> dict[str, np.ndarray]:
    """Return each case's outputs, int16 [windows, time, outputs], on a board.

    Programs that do not fit one image together come in several.
    """
    spec = load_board(board)
    outputs: dict[str, np.ndarray] = {}
    for number, names in enumerate(_images(spec, cases)):
        image = _Image(spec, [cases[name] for name in names], folder / str(number))
        outputs |= dict(zip(names, image.run(), strict=True))
    return outputs


def lighter(program: Program, limit: int) -> Program:
    """Return the program with weights in +-limit and ratios below 1/2: kernels with a bound fit."""

    def light(matrix: Matrix) -> Matrix:
        weight = np.sign(matrix.weight) * (np.abs(matrix.weight) % (limit + 1))
        before, after = (
            1 + np.abs(w.astype(np.int64)).sum(axis=1) for w in (matrix.weight, weight)
        )
        multiplier = np.minimum(matrix.multiplier * before / after, 2**31 - 1 >> matrix.shift)
        return dataclasses.replace(
            matrix,
            weight=weight.astype(np.int8),
            bias=(matrix.bias * after / before).astype(np.int32),
            multiplier=multiplier.astype(np.int32),
        )

    nodes = (
        dataclasses.replace(n, **{field: light(m) for field, m in n.matrices().items()})
        for n in program.nodes
    )
    return dataclasses.replace(program, nodes=tuple(nodes))


def short(program: Program, *kernels: str) -> Case:
    """Return a case of 8 windows of 10 samples."""
    return Case(program, kernels, samples(program, 7, windows=8, time=10))


def takes(kernel: str, program: Program) -> bool:
    """Tell whether a kernel, asked for first, computes a matrix of the program."""
    matrices = [m for n in program.nodes for m in n.products().values()]
    for matrix in matrices:
        try:
            choose_kernel(matrix, [kernel])
        except TargetError:
            continue
        return True
    return False


def linear(matrix: Matrix) -> Program:
    """Return a program of one matrix whose input is not scaled."""
    ones = np.ones(matrix.cols, np.float32)
    names = tuple(f"x{i}" for i in range(matrix.cols))
    form = InputFormat(0 * ones, ones, matrix.input_bits, names)
    return Program((Linear("head", matrix),), form, 1.0)


def _images(spec: BoardSpec, cases: Mapping[str, Case]) -> Iterator[list[str]]:
    """Yield names of cases whose weights take half of the flash, at most."""
    room = spec.memory["flash"].size // 2 if "flash" in spec.memory else 1 << 30
    names: list[str] = []
    used = 0
    for name, case in cases.items():
        # packed for the widest kernels: two bytes a weight
        size = 2 * case.program.macs + 4096
        if names and used + size > room:
            yield names
            names, used = [], 0
        names.append(name)
        used += size
    yield names


class _Image:
    """The image of several cases."""

    def __init__(self, spec: BoardSpec, cases: Sequence[Case], folder: Path) -> None:
        self.spec, self.cases, self.folder = spec, cases, folder
        self.inputs = 1 + max(case.program.inputs for case in cases)
        self.outputs = max(case.program.outputs for case in cases)
        # as ``edgeflow compile`` does
        self.plans = [
            plan_library(case.program, spec.core, kernel_sets=list(case.kernels) or None)
            for case in cases
        ]
        self.words = max(plan.state_bytes // 8 for plan in self.plans)
        hashes = b"".join(case.program.hash for case in cases)
        self.hash = hashlib.sha256(hashes).digest()[:8]

    def build(self) -> Path:
        kernels: dict[str, None] = {}
        (self.folder / "kernels").mkdir(parents=True)
        for number, plan in enumerate(self.plans):
            part = self.folder / f"part{number}"
            write(render(plan), part)
            kernels |= dict.fromkeys(plan.kernel_files)
            for file in (part / "kernels").iterdir():
                shutil.copy(file, self.folder / "kernels")
            text = _PART.replace("@words", str(self.words)).replace("@", str(number))
            (self.folder / f"part{number}.c").write_text(text)
        (self.folder / "model.h").write_text(self._header())
        (self.folder / "model.c").write_text(self._source())
        models = ["model.c", *(f"part{number}.c" for number in range(len(self.cases)))]
        frame = frame_size(self.spec, self.inputs, self.outputs)
        return compile_image(self.spec, self.folder, models, list(kernels), frame)[0]

    def run(self) -> list[np.ndarray]:
        results = []
        with open_board(self.spec, image=self.build()) as board:
            client = board.connect(self.hash)
            for number, case in enumerate(self.cases):
                windows = case.samples
                x = np.zeros((*windows.shape[:2], self.inputs), np.int16)
                x[:, :, 0] = number
                x[:, :, 1 : 1 + case.program.inputs] = windows
                y = np.stack([client.steps(window, reset=True).y for window in x])
                results.append(y[:, :, : case.program.outputs])
        return results

    def _header(self) -> str:
        digest = ", ".join(f"0x{byte:02x}" for byte in self.hash)
        return (
            "#ifndef MODEL_H\n#define MODEL_H\n#include <stdint.h>\n"
            f"#define MODEL_INPUTS {self.inputs}\n#define MODEL_OUTPUTS {self.outputs}\n"
            f"#define MODEL_WINDOW 0\n#define MODEL_HASH {{{digest}}}\n"
            "typedef struct {\n    int16_t begun;\n} model_t;\n"
            "void model_init(model_t *model);\nvoid model_reset(model_t *model);\n"
            "void model_step(model_t *model, const int16_t *x, int16_t *y);\n#endif\n"
        )

    def _source(self) -> str:
        parts = range(len(self.cases))
        declared = "".join(
            f"void init{k}(void);\nvoid reset{k}(void);\n"
            f"void step{k}(const int16_t *x, int16_t *y);\n"
            for k in parts
        )
        table = ", ".join(f"{{init{k}, reset{k}, step{k}}}" for k in parts)
        text = _DISPATCH.replace("@declared", declared).replace("@table", table)
        return text.replace("@words", str(self.words))


# One program: its own names stay inside the file, its memory is the one that all share.
_PART = """#define model_init model@_init
#define model_reset model@_reset
#define model_step model@_step
#define model_quantize model@_quantize
#define model_decided model@_decided
#include "part@/model.c"

extern uint64_t memory[@words];
typedef char fits[sizeof(model_t) <= sizeof memory ? 1 : -1];
void init@(void);
void reset@(void);
void step@(const int16_t *x, int16_t *y);

void init@(void) {
    model_init((model_t *)memory);
}

void reset@(void) {
    model_reset((model_t *)memory);
}

void step@(const int16_t *x, int16_t *y) {
    model_step((model_t *)memory, x, y);
}
"""

_DISPATCH = """#include "model.h"

#include <string.h>

@declared
static const struct {
    void (*init)(void);
    void (*reset)(void);
    void (*step)(const int16_t *x, int16_t *y);
} parts[] = {@table};

uint64_t memory[@words];

void model_init(model_t *model) {
    model->begun = 0;
}

void model_reset(model_t *model) {
    model->begun = 0;
}

void model_step(model_t *model, const int16_t *x, int16_t *y) {
    if (!model->begun) {
        memset(memory, 0x5a, sizeof memory);
        parts[x[0]].init();
        parts[x[0]].reset();
        model->begun = 1;
    }
    memset(y, 0, MODEL_OUTPUTS * sizeof *y);
    parts[x[0]].step(x + 1, y);
}
"""

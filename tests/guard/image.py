"""An image whose layers run under the plugin ``ef_guard.c``, and the accesses that it refuses.

The library is the product's own, except for room between what it keeps: behind each array of
constants and around each member of ``model_t`` lie bytes that no layer may touch.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from edgeflow.codegen.places import output_member
from edgeflow.codegen.plan import Plan, plan_library
from edgeflow.codegen.render import render, write
from edgeflow.program import Program
from edgeflow.program.matrix import round_up
from edgeflow.program.nodes.base import zeros
from edgeflow.resources import resource
from edgeflow.targets.board import BoardSpec
from edgeflow.targets.elf import Image, Symbol
from edgeflow.targets.runner import QemuRunner, QemuUserRunner
from edgeflow.targets.toolchain import (
    board_defines,
    board_include_dirs,
    board_sources,
    compile_sources,
    link,
)
from tests.guard.rules import Places, Rule, rules

FOLDER = Path(__file__).resolve().parent
#: Bytes between arrays that nothing may touch.
GAP = 32
#: Of a program of Linux, whose stack is far from all else; boards say theirs.
STACK = 64 * 1024
#: Values of int16 before the sample and before the outputs, so that they begin at odd places.
BEFORE_X, BEFORE_Y = 16, 17

_ARRAY = re.compile(r"^static const (\w+)_t (\w+)\[(\d+)\] = \{", re.MULTILINE)
_BYTES = re.compile(r"^    int8_t weights\[(\d+)\];\n    uint32_t align;\n\} (\w+) =", re.MULTILINE)
_LAST_INCLUDE = "#include <string.h>"
_STRUCT = re.compile(r"^typedef struct \{$.*?^\} model_t;$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Hit:
    """An access outside of what the layer was given."""

    layer: str
    step: int
    function: str
    address: int
    size: int
    store: bool
    near: str


@dataclass(frozen=True)
class Run:
    """What a guarded run did.

    Parameters
    ----------
    hits : tuple of Hit
    accesses : int array [steps, layers + 1]
        Loads and stores of each layer, the code around it included; the last are behind the last
        layer.
    wrong : int
        Steps whose outputs, of any layer, are not the reference's.
    """

    hits: tuple[Hit, ...]
    accesses: np.ndarray
    wrong: int


class Guarded:
    """A program for a board, each of its layers under guard.

    Parameters
    ----------
    spec : BoardSpec
        An emulated one.
    program : Program
        Its first layer ignores its input (``edgeflow.bench.playback``).
    steps : int
        Steps to run.
    backend, kernel_sets, kernels
        As for ``edgeflow.codegen.plan.plan_library``.
    shifted : sequence of str
        Layers whose outputs begin at odd words: what a kernel reads as x is aligned to 4 bytes.
    replaced : mapping
        Layers of one matrix, each with a function of the sources `more` as its kernel.
    """

    def __init__(
        self,
        spec: BoardSpec,
        program: Program,
        folder: Path,
        *,
        steps: int = 3,
        backend: str = "c",
        kernel_sets: Sequence[str] | None = None,
        kernels: Mapping[str, str] | None = None,
        shifted: Sequence[str] = (),
        replaced: Mapping[str, str] | None = None,
        more: Sequence[Path] = (),
    ) -> None:
        self.spec, self.program, self.folder, self.steps = spec, program, folder, steps
        self.plan: Plan = plan_library(
            program, spec.core, backend=backend, kernel_sets=kernel_sets, kernels=kernels
        )
        self.offsets, self.struct = _members(self.plan, {output_of(self.plan, n) for n in shifted})
        self.sizes: dict[str, int] = {}  # of constants, without the room behind them
        self.replaced, self.more = dict(replaced or {}), list(more)

    def run(self) -> Run:
        elf = self._build()
        self.image = Image(elf)
        out = self.folder / "guard.txt"
        (self.folder / "ranges.txt").write_text(
            "".join(f"{r.layer} {r.address} {r.size} {r.access}\n" for r in self._given())
        )
        sums = self._boot(elf, out)
        hits, accesses = self._read(out)
        expected = self._expected()
        assert len(sums) == len(expected) == len(accesses)
        return Run(hits, accesses, sum(a != b for a, b in zip(sums, expected, strict=True)))

    # ---- the image ----------------------------------------------------------------------------

    def _build(self) -> Path:
        shutil.rmtree(self.folder, ignore_errors=True)
        texts = render(self.plan)
        texts["model.h"] = _STRUCT.sub(lambda _: self.struct, texts["model.h"])
        texts["model.c"] = self._with_room(texts["model.c"])
        for layer, function in self.replaced.items():
            named = rf"( {layer}_matrix = \{{\n    \.matvec = )\w+"
            texts["model.c"] = re.sub(named, rf"\1{function}", texts["model.c"])
        declared = "".join(f"\nef_matvec {name};" for name in self.replaced.values())
        texts["model.c"] = texts["model.c"].replace(_LAST_INCLUDE, _LAST_INCLUDE + declared)
        texts["case.h"] = self._case()
        write(texts, self.folder)
        firmware = resource("firmware")
        includes = [self.folder, self.folder / "kernels", *board_include_dirs()]
        defines = {**board_defines(self.spec), "EF_PROFILE": "1"}
        kernels = [self.folder / name for name in self.plan.kernel_files]
        runtime = [FOLDER / "main.c", firmware / "runtime" / "ef_profile.c"]
        objects: list[Path] = []
        for name, sources, flags in (
            # constants stay in their order, so that there is room before the weights, too
            ("model", [self.folder / "model.c"], ["-fno-toplevel-reorder"]),
            ("kernels", [*kernels, *self.more], []),
            ("runtime", runtime, []),
            ("hal", board_sources(self.spec), []),
        ):
            objects += compile_sources(
                self.spec.core,
                sources,
                self.folder / "objects" / name,
                include_dirs=includes,
                defines=defines,
                extra_flags=["-O2", *flags],
            )
        return link(self.spec, objects, self.folder / "firmware.elf")

    def _with_room(self, source: str) -> str:
        """Return the source with `GAP` bytes behind each array of constants."""

        def array(found: re.Match[str]) -> str:
            kind, name, size = found[1], found[2], int(found[3])
            item = np.dtype(kind).itemsize
            self.sizes[name] = size * item
            return f"static const {kind}_t {name}[{size + GAP // item}] = {{"

        def union(found: re.Match[str]) -> str:
            self.sizes[found[2]] = int(found[1])
            whole = round_up(int(found[1]))
            return f"    int8_t weights[{whole + GAP}];\n    uint32_t align;\n}} {found[2]} ="

        return _BYTES.sub(union, _ARRAY.sub(array, source))

    def _case(self) -> str:
        checks = "".join(
            f"typedef char {name}_is_there[offsetof(model_t, {place}) == {offset} ? 1 : -1];\n"
            for name, offset in self.offsets.items()
            for place in ["in.x" if name == "x" else name]
        )
        outputs = ", ".join(
            f"{{{self.offsets[output_member(node)]}, {node.outputs}}}"
            for node in self.program.nodes
            if output_member(node) in self.offsets
        )
        return (
            f'#include <stddef.h>\n#include "model.h"\n#define CASE_STEPS {self.steps}\n'
            f"#define CASE_X {BEFORE_X}\n"
            f"#define CASE_Y {BEFORE_Y}\n#define CASE_OUTPUTS {{{outputs}}}\n{checks}"
        )

    def _given(self) -> Iterator[Rule]:
        symbols = self.image.by_name
        model = symbols["guard_model"].address
        places = Places(
            x=symbols["guard_x"].address + 2 * BEFORE_X,
            y=symbols["guard_y"].address + 2 * BEFORE_Y,
            members={name: model + offset for name, offset in self.offsets.items()},
            sizes=self.sizes,
        )
        return rules(self.plan, self.image, places)

    # ---- running ------------------------------------------------------------------------------

    def _boot(self, elf: Path, out: Path) -> list[int]:
        options = [
            f"ranges={self.folder / 'ranges.txt'}",
            f"out={out}",
            f"stack={self.spec.stack or STACK}",
        ]
        functions = {
            "begin": "ef_profile_begin",
            "layer": "ef_profile_layer",
            "end": "ef_profile_end",
            "enter": "guard_enter",
            "quiet": "guard_run",
        }
        for name, function in functions.items():
            symbol = self.image.by_name[function]
            options.append(f"{name}={symbol.address:#x}:{symbol.size}")
        options += [f"code={s.address:#x}:{s.size}" for s in self.image.sections if s.executable]
        runner = self.spec.runner
        plugin = ["-plugin", ",".join([f"file={build_guard()}", *options])]
        if isinstance(runner, QemuUserRunner):
            command = [runner.program, "-cpu", runner.cpu, *plugin, str(elf)]
        else:
            assert isinstance(runner, QemuRunner)
            command = [
                runner.emulator, "-M", runner.machine, *runner.args, "-display", "none",
                "-monitor", "none", "-serial", "stdio", *plugin, "-kernel", str(elf),
            ]  # fmt: skip
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        sums = []
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.strip() == "done":
                    return sums
                sums.append(int(line, 16))
        finally:
            if not isinstance(runner, QemuUserRunner):
                process.kill()
            process.communicate()
        raise AssertionError(f"{self.spec.name}: the run ended early, after {len(sums)} steps")

    def _read(self, out: Path) -> tuple[tuple[Hit, ...], np.ndarray]:
        hits, accesses = [], []
        names = [*(node.name for node in self.program.nodes), "(end)"]
        for line in out.read_text().splitlines():
            kind, *numbers = line.split()
            if kind == "S":
                accesses.append([int(n) for n in numbers])
                continue
            layer, step, pc, address, size, store = map(int, numbers)
            hits.append(
                Hit(
                    names[layer], step, self._place(pc, "STT_FUNC"), address, size, bool(store),
                    self._near(address),
                )
            )  # fmt: skip
        return tuple(hits), np.array(accesses)

    def _place(self, address: int, kind: str) -> str:
        below = [s for s in self.image.symbols if s.kind == kind and s.address <= address]
        symbol = max(below, key=lambda s: s.address, default=Symbol("?", 0, 0, kind))
        return f"{symbol.name}+{address - symbol.address}"

    def _near(self, address: int) -> str:
        model = self.image.by_name["guard_model"]
        inside = address - model.address
        if not 0 <= inside < model.size:
            return self._place(address, "STT_OBJECT")
        name = max((n for n in self.offsets if self.offsets[n] <= inside), key=self.offsets.get)
        return f"model.{name}+{inside - self.offsets[name]}"

    def _expected(self) -> list[int]:
        states = [
            {
                n: zeros(1, v.size)
                for n, v in {**node.states, **node.held, **node.learned, **node.derived}.items()
            }
            for node in self.program.nodes
        ]
        sums = []
        for _ in range(self.steps):
            x = zeros(1, self.program.inputs)
            total = 2166136261
            for number, node in enumerate(self.program.nodes):
                x, states[number] = node.advance(x, states[number])
                if output_member(node) in self.offsets:
                    for value in x[0].tolist():
                        total = (total ^ (value & 0xFFFF)) * 16777619 & 0xFFFFFFFF
            sums.append(total)
        return sums


def output_of(plan: Plan, layer: str) -> str:
    """Return the member of ``model_t`` that a layer's output is in."""
    return output_member(next(node for node in plan.program.nodes if node.name == layer))


def _members(plan: Plan, shifted: set[str]) -> tuple[dict[str, int], str]:
    """Return where the members of ``model_t`` begin, and its text, with room between them."""
    offsets, lines, at = {}, [], 0

    def gap(size: int) -> None:
        nonlocal at
        lines.append(f"    uint32_t room{len(lines)}[{size // 4}];")
        at += size

    gap(GAP)
    for member in plan.members:
        more = 4 if member.name in shifted else 0
        if more:
            gap(more)
        offsets[member.name] = at
        if member.name == "x":
            lines += [
                "    union {",
                "        uint64_t align;",
                f"        int16_t x[{member.size}];",
            ]
            lines.append("    } in;")
        else:
            lines.append(f"    {member.dtype}_t {member.name}[{member.size}];")
        at += np.dtype(member.dtype).itemsize * member.size
        gap(GAP - more if more else GAP)
    return offsets, "typedef struct {\n" + "\n".join(lines) + "\n} model_t;"


@cache
def build_guard() -> Path:
    """Compile the plugin; it lives as long as the tests."""
    plugin = Path(mkdtemp(prefix="ef-guard-")) / "ef_guard.so"
    flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared", "-fvisibility=hidden"]
    subprocess.run(["cc", *flags, FOLDER / "ef_guard.c", "-o", plugin], check=True)
    return plugin

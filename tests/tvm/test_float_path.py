"""Float layers by TVM on every kind of core give torch's outputs, within the rounding of float32."""

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgeflow.codegen.plan import plan_library
from edgeflow.codegen.render import render, write
from edgeflow.errors import TargetError
from edgeflow.profiling.counts import read_counts
from edgeflow.profiling.trace import prepare_trace
from edgeflow.targets.board import BoardSpec, load_board
from edgeflow.targets.core import load_core
from edgeflow.targets.elf import Image
from edgeflow.targets.runner import QemuRunner
from edgeflow.targets.toolchain import (
    board_defines,
    board_include_dirs,
    board_sources,
    compile_sources,
    link,
)
from tests.boards.test_boot import Session
from tests.command import edgeflow
from tests.random_programs import random_program, samples

pytest.importorskip("tvm", reason="apache-tvm is not installed")
floating = pytest.importorskip("edgeflow.codegen.tvm.floating")

BOARDS = ["host", "qemu-m4", "qemu-m7", "qemu-m33", "qemu-m55", "qemu-a53"]
#: Of the largest output: sums are taken in another order, and libm is another.
TOLERANCE = 1e-5
STEPS = 6
#: What a library may ask for: libm, and what every C compiler may call by itself.
FOREIGN = {"memcpy", "memset", "memmove"} | {
    f"{name}f"
    for name in ("acos", "asin", "atan", "atan2", "ceil", "cos", "cosh", "erf", "exp", "exp2",
                 "floor", "fma", "fmax", "fmin", "fmod", "log", "log10", "log1p", "log2",
                 "nearbyint", "pow", "rint", "round", "roundeven", "sin", "sinh", "sqrt", "tan",
                 "tanh", "trunc")
}  # fmt: skip


class Convolution(nn.Module):
    """[1, 8, 20] -> [1, 5]: a window of the last 20 samples."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(8, 16, 3, padding=1)
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = nn.functional.gelu(self.conv(x)).transpose(1, 2)
        return torch.softmax(self.head(self.norm(h).mean(1)), -1)


class Recurrent(nn.Module):
    """One step of a GRU: [1, 6], [1, 16] -> [1, 4], [1, 16]."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(6, 16, batch_first=True)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        y, h = self.gru(x[:, None], h[None])
        return self.head(y[:, 0]), h[0]


class Transformer(nn.Module):
    """[1, 10, 16] -> [1, 3]."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(x).mean(1))


class AttentionPooling(nn.Module):
    """Attention over the last 8 vectors: [1, 16], [1, 8, 16] -> [1, 6], [1, 8, 16]."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Linear(16, 1)
        self.head = nn.Linear(16, 6)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        past = torch.cat([past[:, 1:], x[:, None]], dim=1)
        weight = torch.softmax(self.score(past), dim=1)
        return self.head((weight * past).sum(dim=1)), past


class DelayLine(nn.Module):
    """States that move to each other, and no arithmetic but one sum: [3], 2 x [3] -> [3]."""

    def forward(self, x: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return a + b, x, a


class Swap(nn.Module):
    """Nothing but copies, and states that change places: [1, 4], 2 x [4] -> [4]."""

    def forward(self, x: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return x.reshape(4), b, a


class Choice(nn.Module):
    """Integers and conditions inside: [1, 12] -> [1, 12]."""

    def forward(self, x: Tensor) -> Tensor:
        best = torch.argmax(x, dim=1, keepdim=True)
        others = torch.arange(12)[None] != best
        return torch.where(others & (x > 0), x.abs().sqrt(), -2.0 * x)


class Odd(nn.Module):
    """Sizes that no tile divides, pooling, two activations: [1, 3, 19] -> [1, 13]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(3, 7, 5, stride=2), nn.BatchNorm1d(7), nn.SiLU(), nn.MaxPool1d(2),
            nn.Flatten(), nn.Linear(28, 11), nn.Tanh(), nn.Linear(11, 13), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


MODULES: dict[str, tuple[type[nn.Module], tuple[tuple[int, ...], ...]]] = {
    "convolution": (Convolution, ((1, 8, 20),)),
    "recurrent": (Recurrent, ((1, 6), (1, 16))),
    "transformer": (Transformer, ((1, 10, 16),)),
    "pooling": (AttentionPooling, ((1, 16), (1, 8, 16))),
    "delay": (DelayLine, ((3,), (3,), (3,))),
    "swap": (Swap, ((1, 4), (4,), (4,))),
    "choice": (Choice, ((1, 12),)),
    "odd": (Odd, ((1, 3, 19),)),
}


def case(name: str) -> tuple[nn.Module, list[Tensor]]:
    torch.manual_seed(7)
    kind, shapes = MODULES[name]
    module = kind()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d):
            nn.init.normal_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
    return module.eval(), [torch.zeros(shape) for shape in shapes]


def numbers(values: np.ndarray) -> str:
    return ", ".join(f"{float(v):.9e}f" for v in values.reshape(-1))


def build(board: BoardSpec, sources: Sequence[Path], folder: Path) -> Path:
    """Link a firmware of `sources`, libm and start-up code."""
    for tool in board.tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is missing: run 'edgeflow doctor'")
    objects = compile_sources(
        board.core,
        [*sources, *board_sources(board)],
        folder / "objects",
        include_dirs=[folder, folder / "kernels", *board_include_dirs()],
        defines=board_defines(board),
        extra_flags=["-O2"],
    )
    return link(board, [*objects, Path("-lm")], folder / "firmware.elf")


def run(board: BoardSpec, sources: Sequence[Path], folder: Path, expected: int) -> np.ndarray:
    """Return the floats that a firmware of `sources` writes."""
    session = Session(board, build(board, sources, folder))
    try:
        return np.frombuffer(session.read(4 * expected), "<f4")
    finally:
        session.close()


def program(name: str, inputs: np.ndarray) -> str:
    """Return a main that steps two instances in turn; each has a part of the inputs."""
    upper = name.upper()
    return f"""
#include "ef_hal.h"
#include "{name}.h"
void ef_profile_begin(void);
void ef_profile_end(void);
__attribute__((noinline)) void ef_profile_begin(void) {{
    __asm volatile("");
}}
__attribute__((noinline)) void ef_profile_end(void) {{
    __asm volatile("");
}}
static const float inputs[] = {{{numbers(inputs)}}};
static {name}_t streams[2];
int main(void) {{
    float y[{upper}_OUTPUTS];
    ef_hal_init();
    for (int k = 0; k < 2; k++) {{
        unsigned char *memory = (unsigned char *)&streams[k];
        for (unsigned i = 0; i < sizeof streams[k]; i++)
            memory[i] = 0xA5;
        {name}_init(&streams[k]);
    }}
    for (int t = 0; t < {STEPS}; t++)
        for (int k = 0; k < 2; k++) {{
            ef_profile_begin();
            {name}_step(&streams[k], inputs + (k * {STEPS} + t) * {upper}_INPUTS, y);
            ef_profile_end();
            ef_hal_write((const uint8_t *)y, sizeof y);
        }}
    while (ef_hal_getc() >= 0) {{
    }}
    return 0;
}}
"""


def by_torch(module: nn.Module, x: np.ndarray, states: list[Tensor]) -> np.ndarray:
    """Return the outputs of one stream, [steps, outputs]."""
    outputs = []
    with torch.no_grad():
        for sample in x:
            result = module(torch.from_numpy(sample), *states)
            y, *states = result if isinstance(result, tuple) else (result,)
            outputs.append(y.reshape(-1).numpy())
    return np.stack(outputs)


def foreign_symbols(core_prefix: str, objects: Sequence[Path]) -> set[str]:
    text = subprocess.run(
        [f"{core_prefix}nm", *map(str, objects)], capture_output=True, text=True, check=True
    ).stdout
    lines = [line.split() for line in text.splitlines() if line.strip() and ":" not in line]
    defined = {words[-1] for words in lines if words[-2] not in "Uw"}
    return {words[-1] for words in lines if words[-2] in "Uw"} - defined


@pytest.mark.board
@pytest.mark.parametrize(
    "board",
    [
        # the M7 and the M33 run the instructions of the M4, in another order; the A53 runs others
        # below, in test_beside_the_integer_part
        pytest.param(b, marks=[] if b in ("host", "qemu-m4", "qemu-m55") else [pytest.mark.slow])
        for b in BOARDS
    ],
)
@pytest.mark.parametrize("name", MODULES)
def test_outputs_are_those_of_torch(name: str, board: str, tmp_path: Path) -> None:
    module, examples = case(name)
    spec = load_board(board)
    library = floating.float_library(module, examples, spec.core, tmp_path, name)
    assert (tmp_path / "LICENSE").is_file()
    rng = np.random.default_rng(3)
    x = rng.normal(0, 2, (2, STEPS, *examples[0].shape)).astype(np.float32)
    (tmp_path / "main.c").write_text(program(name, x))
    sources = [file for file in library.files if file.suffix != ".h"]
    y = run(spec, [tmp_path / "main.c", *sources], tmp_path, 2 * STEPS * library.outputs)
    y = y.reshape(STEPS, 2, library.outputs)
    for stream in range(2):
        expected = by_torch(module, x[stream], examples[1:])
        error = np.abs(y[:, stream] - expected).max() / np.abs(expected).max()
        assert error <= TOLERANCE, f"stream {stream}: off by {error:.2g} of the largest output"
    objects = [tmp_path / "objects" / f"{file.stem}.o" for file in sources]
    assert foreign_symbols(spec.core.prefix, objects) <= FOREIGN


@pytest.mark.board
@pytest.mark.parametrize("board", ["host", "qemu-m4", "qemu-m55", "qemu-a53"])
def test_beside_the_integer_part(board: str, tmp_path: Path) -> None:
    """An integer GRU's outputs go into float layers, both in one image."""
    spec = load_board(board)
    recurrent = random_program(1, 3, [12], 16, 12, 12)
    plan = plan_library(recurrent, spec.core, kernel_sets=spec.core.kernels)
    write(render(plan), tmp_path)
    sources = [tmp_path / name for name in ("model.c", *plan.kernel_files)]
    module, examples = case("pooling")
    library = floating.float_library(module, examples, spec.core, tmp_path, "head")
    x = samples(recurrent, 5, 1, 12)
    (tmp_path / "main.c").write_text(f"""
#include "ef_hal.h"
#include "head.h"
#include "model.h"
static const int16_t inputs[] = {{{", ".join(map(str, x.reshape(-1)))}}};
static model_t model;
static head_t head;
int main(void) {{
    int16_t h[MODEL_OUTPUTS];
    float x[HEAD_INPUTS], y[HEAD_OUTPUTS];
    ef_hal_init();
    model_init(&model);
    head_init(&head);
    for (int t = 0; t < 12; t++) {{
        model_step(&model, inputs + t * MODEL_INPUTS, h);
        for (int i = 0; i < MODEL_OUTPUTS; i++)
            x[i] = (float)h[i] * MODEL_OUTPUT_SCALE;
        head_step(&head, x, y);
        ef_hal_write((const uint8_t *)y, sizeof y);
    }}
    while (ef_hal_getc() >= 0) {{
    }}
    return 0;
}}
""")
    sources += [file for file in library.files if file.suffix != ".h"]
    y = run(spec, [tmp_path / "main.c", *sources], tmp_path, 12 * 6).reshape(12, 6)
    h = recurrent.run(x)[0].astype(np.float32) * np.float32(recurrent.output_scale)
    expected = by_torch(module, h[:, None], examples[1:])
    assert np.abs(y - expected).max() <= TOLERANCE * np.abs(expected).max()


@pytest.mark.board
@pytest.mark.parametrize(
    ("board", "name", "instructions", "code"),
    [
        ("qemu-m4", "convolution", 48_267, 8_004),
        ("qemu-m4", "recurrent", 9_183, 5_554),
        ("qemu-m55", "convolution", 27_424, 11_786),
        ("qemu-m55", "recurrent", 3_985, 4_120),
    ],
)
def test_instructions_and_code_do_not_grow(
    board: str, name: str, instructions: int, code: int, tmp_path: Path
) -> None:
    """The figures of docs/tvm.md, and a twentieth for other versions of the tools."""
    module, examples = case(name)
    spec = load_board(board)
    assert isinstance(spec.runner, QemuRunner)
    library = floating.float_library(module, examples, spec.core, tmp_path, name)
    rng = np.random.default_rng(3)
    x = rng.normal(0, 2, (2, STEPS, *examples[0].shape)).astype(np.float32)
    (tmp_path / "main.c").write_text(program(name, x))
    sources = [tmp_path / "main.c", *(file for file in library.files if file.suffix != ".h")]
    elf = build(spec, sources, tmp_path)
    trace = prepare_trace(elf, tmp_path, qemu=spec.runner.emulator)
    command = [
        spec.runner.emulator, "-M", spec.runner.machine, "-display", "none", "-monitor", "none",
        "-serial", "stdio", "-plugin", ",".join(trace.plugin), "-kernel", str(elf),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(2 * STEPS * library.outputs * 4)
        process.terminate()
    counted = read_counts(trace.out).instructions
    assert len(counted) == 2 * STEPS
    assert counted.mean() <= 1.05 * instructions
    functions = [s for s in Image(elf).symbols if s.kind == "STT_FUNC" and s.name.startswith(name)]
    assert sum(function.size for function in functions) <= 1.05 * code


class Function(nn.Module):
    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *tensors: Tensor) -> object:
        return self.function(*tensors)


class Counter(nn.Module):
    """Keeps its state in a buffer."""

    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(1, 4))

    def forward(self, x: Tensor) -> Tensor:
        self.total.add_(x)
        return self.total * 2


REFUSED: dict[str, tuple[nn.Module, str]] = {
    "branch": (Function(lambda x: x if x.sum() > 0 else -x), "depends on the values of its input"),
    "mask": (
        Function(lambda x: x[x > 0]),
        r"operator index.Tensor: the shape of its result \[u0\]",
    ),
    "nonzero": (Function(torch.nonzero), "operator nonzero.default: the shape"),
    "no translation": (Function(lambda x: torch.fft.rfft(x).abs()), "operator _fft_r2c.default"),
    "needs a runtime": (Function(lambda x: x.sort(1)[0]), "operator argsort: TVM has no code"),
    "by hand": (
        Function(lambda x: torch.zeros(1, 4).scatter(1, x.argmax(1, keepdim=True), 1.0)),
        "operator scatter_elements: TVM has no code",
    ),
    "float64": (nn.Linear(4, 4).double(), r"weight is float64; .* use module.float\(\)"),
    "float64 inside": (Function(lambda x: (x.double() * 2).float()), "computes in float64"),
    "integers": (Function(lambda x: x.argmax(1)), "y is int64"),
    "dictionary": (Function(lambda x: {"y": x}), "forward returns dict"),
    "no state": (Function(lambda x: (x, x + 1)), "takes 0 states and returns 1"),
    "buffer": (Counter(), "changes total in place: take it as an argument"),
    "fails": (nn.Linear(5, 4), r"forward fails on \[1, 4\]"),
    "random": (Function(lambda x: nn.functional.dropout(x, 0.5, True)), "other outputs than torch"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refusals_name_what_is_wrong(
    what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    module, message = REFUSED[what]
    with pytest.raises(TargetError, match=message) as raised:
        floating.float_library(module, torch.zeros(1, 4), load_core("cortex-m4"), tmp_path)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr().err == ""
    assert not list(tmp_path.iterdir())


def test_a_state_keeps_its_shape(tmp_path: Path) -> None:
    module = Function(lambda x, h: (x, h.sum(1)))
    examples = [torch.zeros(1, 4), torch.zeros(1, 4)]
    with pytest.raises(TargetError, match=r"has the shape \[1\], and before \[1, 4\]"):
        floating.float_library(module, examples, load_core("host"), tmp_path)


@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m3", "rv32imc"])
def test_cores_without_float_instructions(core: str, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=f"{core}: has no float instructions: take a core"):
        floating.float_library(nn.Linear(4, 2), torch.zeros(1, 4), load_core(core), tmp_path)


@pytest.mark.parametrize("name", ["model", "2nd", "Head", "a-b", ""])
def test_names_that_c_cannot_have(name: str, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=f"--name {name}: "):
        floating.float_library(
            nn.Linear(4, 2), torch.zeros(1, 4), load_core("host"), tmp_path, name
        )


class TestCommand:
    MODULE = "import torch\n\n\nclass TwoLayers(torch.nn.Sequential):\n    def __init__(self):\n" \
        "        super().__init__(torch.nn.Linear(4, 8), torch.nn.GELU(), torch.nn.Linear(8, 2))\n"  # fmt: skip

    def edgeflow(self, folder: Path, *arguments: str) -> CompletedProcess[str]:
        (folder / "mine.py").write_text(self.MODULE)
        return edgeflow("float", "mine.py:TwoLayers", *arguments, folder=folder)

    def test_files_and_figures(self, tmp_path: Path) -> None:
        net = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2))
        torch.save(net.state_dict(), tmp_path / "net.pt")
        done = self.edgeflow(
            tmp_path, "--input", "1x4", "--checkpoint", "net.pt", "--core", "cortex-m55", "--json",
            "-o", "out",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        told = json.loads(done.stdout)
        assert (told["name"], told["inputs"], told["outputs"]) == ("two_layers", 4, 2)
        assert told["constant_bytes"] == 4 * (4 * 8 + 8 + 8 * 2 + 2)
        names = {".edgeflow", "LICENSE", "two_layers.h", "two_layers.c", "two_layers_tvm.S"}
        assert {file.name for file in (tmp_path / "out").iterdir()} == names
        weight = f"{float(net[0].weight[0, 0]):.9g}f"
        assert weight in (tmp_path / "out" / "two_layers.c").read_text()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--input", "1x5"], "TwoLayers: forward fails on [1, 5]"),
            (["--input", "4,4"], "--input 4,4: write a shape as"),
            (["--input", "1x4", "--board", "qemu-m0"], "cortex-m0: has no float instructions"),
            (["--input", "1x4", "--state", "1x8"], "TwoLayers: forward fails on [1, 4], [1, 8]"),
        ],
    )
    def test_errors_are_one_line(self, arguments: list[str], message: str, tmp_path: Path) -> None:
        done = self.edgeflow(tmp_path, *arguments)
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: {message}")
        assert done.stderr.count("\n") == 1

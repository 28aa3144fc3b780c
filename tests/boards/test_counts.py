"""The counting plugin on hand-written programs whose instructions are known one by one."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeflow.device.board import plugin_option
from edgeflow.errors import TargetError, ToolMissingError
from edgeflow.profiling import plugin
from edgeflow.profiling.classes import Op
from edgeflow.profiling.counts import Counts, read_counts
from edgeflow.profiling.trace import Trace, prepare_trace
from edgeflow.resources import resource
from edgeflow.targets.part import DataCache
from tests.damages import DAMAGES

pytestmark = pytest.mark.board

# Steps 0..3; a step has a layer of 4 + 2 n instructions (n loads in a loop of 2n + 2 with its
# set-up and return; see the assembly) and then a rest of one multiplication.
PROGRAM = """
void ef_profile_begin(void); void ef_profile_layer(void); void ef_profile_end(void);
void layer(unsigned n); void rest(void); void finish(void);
int main(void) {
    for (unsigned n = 1; n <= 4; n++) {
        ef_profile_begin();
        layer(n);
        ef_profile_layer();
        rest();
        ef_profile_end();
    }
    finish();
    return 0;
}
"""

THUMB = """
.syntax unified
.thumb
.text
.global layer, rest, finish
.thumb_func
layer:
    ldr r1, =0x1234567    @ a literal in the code: load
    push {r4, r5, lr}     @ store_multiple, 3 registers
    smulbb r2, r1, r1     @ mul
    smlabb r2, r1, r1, r2 @ mac
1:  subs r0, #1           @ alu      n times
    bne 1b                @ branch   n times, taken n - 1 times
    pop {r4, r5, pc}      @ load_multiple, 3 registers
.ltorg
.type layer, %function
.thumb_func
rest:
    sdiv r1, r1, r0       @ div
    bx lr                 @ return
.type rest, %function
.thumb_func
finish:                   @ semihosting: exit
    movs r0, #0x18
    ldr r1, =0x20026
    bkpt 0xab
.type finish, %function
.section .vectors, "a"
    .word 0x20010000, main + 1
"""

RISCV = """
.section .start, "ax"
.global _start, layer, rest, finish
_start:
    la sp, 0x80200000
    j main
.text
layer:
    lw t0, 0(sp)          # load
    sw t0, 0(sp)          # store
    mul t1, t0, t0        # mul
1:  addi a0, a0, -1       # alu      n times
    bnez a0, 1b           # branch   n times
    ret                   # return
rest:
    divu t1, t1, t0       # div
    ret                   # return
finish:                   # the test device of the virt machine
    li t0, 0x5555
    li t1, 0x100000
    sw t0, 0(t1)
1:  j 1b
"""

AARCH64 = """
.text
.global layer, rest, finish
layer:
    ldr x1, [sp]          // load
    stp x1, x1, [sp, #-16]! // store_multiple, 2 registers
    madd x2, x1, x1, x1   // mac
1:  subs x0, x0, #1       // alu      n times
    bne 1b                // branch   n times
    ldp x1, x3, [sp], #16 // load_multiple, 2 registers
    ret                   // return
rest:
    sdiv x1, x1, x2       // div
    ret                   // return
finish:
    ret
"""

BOARDS = {
    "arm": (
        ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-nostdlib", "-Wl,-Ttext=0x100",
         "-Wl,--section-start=.vectors=0", "-Wl,-e,main"],
        ["qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-monitor", "none", "-serial",
         "none", "-semihosting", "-kernel"],
        THUMB,
    ),
    "riscv": (
        ["riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32", "-nostdlib",
         "-Wl,--section-start=.start=0x80000000", "-Wl,-Ttext=0x80000100"],
        ["qemu-system-riscv32", "-M", "virt", "-bios", "none", "-display", "none", "-monitor",
         "none", "-serial", "none", "-kernel"],
        RISCV,
    ),
    "aarch64": (["aarch64-linux-gnu-gcc", "-static"], ["qemu-aarch64"], AARCH64),
}  # fmt: skip


def build(board: str, folder: Path, define: str = "EF_PROFILE") -> Path:
    compiler, _, assembly = BOARDS[board]
    if shutil.which(compiler[0]) is None and not os.environ.get("CI"):
        pytest.skip(f"{compiler[0]} is not installed")
    firmware = resource("firmware")
    (folder / "main.c").write_text(PROGRAM)
    (folder / "step.S").write_text(assembly)
    elf = folder / "firmware.elf"
    subprocess.run(
        [*compiler, "-O1", f"-D{define}", f"-I{firmware / 'kernels'}", "main.c", "step.S",
         str(firmware / "runtime" / "ef_profile.c"), "-o", str(elf)],
        check=True, cwd=folder,
    )  # fmt: skip
    return elf


def run(board: str, elf: Path, trace: Trace) -> None:
    command = list(BOARDS[board][1])
    at = 1 if board == "aarch64" else len(command) - 1
    command[at:at] = plugin_option(trace.plugin)
    subprocess.run([*command, str(elf)], check=True, timeout=60)


def count(board: str, folder: Path, data_cache: DataCache | None = None) -> Counts:
    elf = build(board, folder)
    trace = prepare_trace(elf, folder, qemu=BOARDS[board][1][0], data_cache=data_cache)
    run(board, elf, trace)
    return read_counts(trace.out)


def histogram(counts: Counts, step: int, layer: int) -> dict[int, int]:
    row = counts.mixes[counts.mix[step, layer]]
    return {int(number): int(n) for number, n in zip(counts.numbers, row, strict=True) if n > 0}


def test_thumb_counts_are_exact(tmp_path: Path) -> None:
    counts = count("arm", tmp_path)
    assert counts.mix.shape == (4, 2)
    for step in range(4):
        n = step + 1
        # one instruction each: the argument of layer() and its call
        assert histogram(counts, step, 0) == {
            Op.LOAD: 1, Op.STORE_MULTIPLE + 3: 1, Op.MUL: 1, Op.MAC: 1, Op.ALU: n + 1,
            Op.BRANCH: n, Op.LOAD_MULTIPLE + 3: 1, Op.CALL: 1,
        }  # fmt: skip
        assert histogram(counts, step, 1) == {Op.DIV: 1, Op.RETURN: 1, Op.CALL: 1}
        # call and return, and the loop's branch but for the last time
        assert counts.taken[step].tolist() == [n - 1 + 2, 2]
    assert counts.instructions.tolist() == [12, 14, 16, 18]


def test_riscv_counts_are_exact(tmp_path: Path) -> None:
    counts = count("riscv", tmp_path)
    for step in range(4):
        n = step + 1
        layer = histogram(counts, step, 0)
        assert layer == {
            Op.LOAD: 1, Op.STORE: 1, Op.MUL: 1, Op.ALU: n + 1, Op.BRANCH: n, Op.RETURN: 1,
            Op.CALL: 1,
        }  # fmt: skip
        assert histogram(counts, step, 1) == {Op.DIV: 1, Op.RETURN: 1, Op.CALL: 1}
        assert counts.taken[step].tolist() == [n - 1 + 2, 2]


def test_aarch64_counts_are_exact(tmp_path: Path) -> None:
    counts = count("aarch64", tmp_path)
    for step in range(4):
        n = step + 1
        assert histogram(counts, step, 0) == {
            Op.LOAD: 1, Op.STORE_MULTIPLE + 2: 1, Op.MAC: 1, Op.ALU: n + 1, Op.BRANCH: n,
            Op.LOAD_MULTIPLE + 2: 1, Op.RETURN: 1, Op.CALL: 1,
        }  # fmt: skip
        assert histogram(counts, step, 1) == {Op.DIV: 1, Op.RETURN: 1, Op.CALL: 1}
        assert counts.taken[step].tolist() == [n - 1 + 2, 2]


@pytest.mark.parametrize("board", BOARDS)
def test_two_runs_count_the_same(board: str, tmp_path: Path) -> None:
    elf = build(board, tmp_path)
    results = []
    for name in ("first", "second, with a comma"):
        folder = tmp_path / name
        folder.mkdir()
        trace = prepare_trace(elf, folder, qemu=BOARDS[board][1][0])
        run(board, elf, trace)
        results.append(trace.out.read_bytes())
    assert results[0] == results[1]
    assert len(read_counts(trace.out)) == 4


def test_data_cache_counts_lines_from_flash(tmp_path: Path) -> None:
    counts = count("arm", tmp_path, DataCache(line_bytes=16, lines=16))
    # the literal of layer() is fetched once and then stays; the stack is not in flash
    assert counts.fetched.tolist() == [[1, 0], [0, 0], [0, 0], [0, 0]]


def test_an_image_without_markers_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "main.c"
    source.write_text("int main(void) { return 0; }")
    elf = tmp_path / "plain.elf"
    subprocess.run(["gcc", "-no-pie", str(source), "-o", str(elf)], check=True)
    with pytest.raises(TargetError, match="-DEF_PROFILE"):
        prepare_trace(elf, tmp_path, qemu="qemu-system-arm")


def test_plugin_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = plugin.build_plugin(tmp_path)
    built = first.stat().st_mtime_ns
    assert plugin.build_plugin(tmp_path) == first
    assert first.stat().st_mtime_ns == built
    monkeypatch.setenv("PATH", str(tmp_path))
    assert plugin.build_plugin(tmp_path) == first  # the cache needs no compiler
    with pytest.raises(ToolMissingError, match="apt-get install"):
        plugin.build_plugin(tmp_path / "empty")


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_plugin_is_built_again(damage: Callable[[Path], None], tmp_path: Path) -> None:
    """It was loaded as it was, by each profile from then on."""
    path = plugin.build_plugin(tmp_path)
    good = path.read_bytes()
    damage(path)
    assert plugin.build_plugin(tmp_path) == path
    assert path.read_bytes() == good and len(list(tmp_path.iterdir())) == 1


def test_two_processes_build_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from edgeflow.profiling.plugin import build_plugin;"
        "print(build_plugin(pathlib.Path(sys.argv[1])))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    paths = {process.communicate()[0] for process in running}
    assert all(process.returncode == 0 for process in running)
    assert len(paths) == 1
    assert len(list(tmp_path.iterdir())) == 1

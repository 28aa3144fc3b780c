"""The comparison with published figures, on a small program in the layout of CoreMark."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edgeflow.errors import EdgeFlowError
from edgeflow.profiling.models import load_cycle_model
from edgeflow.targets.board import load_board
from tests.conftest import ROOT

HEADER = """
#include "core_portme.h"
typedef ee_u32 secs_ret;
void start_time(void);
void stop_time(void);
CORE_TICKS get_time(void);
secs_ret time_in_secs(CORE_TICKS ticks);
"""

MAIN = """
#include "coremark.h"
extern volatile ee_s32 seed4_volatile;
int main(void) {
    core_portable port;
    portable_init(&port, 0, 0);
    start_time();
    const ee_s32 n = seed4_volatile << 7;
    for (ee_s32 i = 0; i < n; i++)
        __asm volatile("mul r0, r0, r0" ::: "r0");
#ifdef LOOP
    __asm volatile("mov r1, #400; dls lr, r1; 1: nop; le lr, 1b" ::: "lr", "r1");
#endif
    stop_time();
    ee_printf("Correct operation %s %04x %u\\n", TEXT, 0xab, (unsigned)time_in_secs(get_time()));
    portable_fini(&port);
    return 0;
}
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "scripts" / "validate_cycles.py"
    spec = importlib.util.spec_from_file_location("validate_cycles", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def workload(tmp_path: Path, script: ModuleType) -> Path:
    if shutil.which("arm-none-eabi-gcc") is None and not os.environ.get("CI"):
        pytest.skip("arm-none-eabi-gcc is not installed")
    folder = tmp_path / "coremark"
    folder.mkdir()
    for name in script.COREMARK:
        (folder / name).write_text("")
    (folder / "coremark.h").write_text(HEADER)
    (folder / "core_main.c").write_text(MAIN)
    return folder


@pytest.mark.board
def test_the_timed_part_is_counted(script: ModuleType, workload: Path, tmp_path: Path) -> None:
    board = load_board("qemu-m4")
    model = load_cycle_model("cortex-m4")
    flags = ["-O2", '-DTEXT="validated"']
    elf = script.build_coremark(board, workload, flags, tmp_path / "build")
    value, mix = script.estimate(board, elf, model, None, "CoreMark/MHz")
    assert mix["mul"] == 128  # an iteration
    assert 127 <= mix["taken"] <= 129
    # at least the multiplication, the counter's test and a taken branch
    assert 1e6 / (128 * 20) < value < 1e6 / (128 * 4)


@pytest.mark.board
def test_a_low_overhead_loop_takes_no_branch(
    script: ModuleType, workload: Path, tmp_path: Path
) -> None:
    board, model = load_board("qemu-m55"), load_cycle_model("cortex-m55")
    mixes = []
    for number, more in enumerate(([], ["-DLOOP"])):
        # the loop over the multiplication stays an ordinary one
        flags = ["-O1", '-DTEXT="validated"', "-fno-branch-count-reg", *more]
        elf = script.build_coremark(board, workload, flags, tmp_path / str(number))
        mixes.append(script.estimate(board, elf, model, None, "CoreMark/MHz")[1])
    without, with_loop = mixes
    assert with_loop["loop"] - without.get("loop", 0) == (400 + 1) / 4
    assert with_loop["taken"] == without["taken"]


@pytest.mark.board
def test_results_that_are_not_validated_are_refused(
    script: ModuleType, workload: Path, tmp_path: Path
) -> None:
    board = load_board("qemu-m4")
    elf = script.build_coremark(board, workload, ["-O2", '-DTEXT="wrong"'], tmp_path / "build")
    with pytest.raises(EdgeFlowError, match=r"did not validate .*\n.*operation wrong 00ab 10"):
        script.count(board, elf, None)


def test_a_folder_without_the_sources_is_named(
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["validate_cycles.py", "--coremark", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"error: .*core_list_join.c: missing"):
        script.main()

"""The MLPerf Tiny benchmark's own runner, unmodified, drives the firmware.

It is not part of this tree: EDGEFLOW_MLPERF_RUNNER names the folder ``benchmark/runner`` of a copy
of mlcommons/tiny, and EDGEFLOW_MLPERF_PYTHON a Python that has what it imports (pyserial, pyusb,
PyYAML, NumPy, SciPy, scikit-learn, Matplotlib; default: this one). Without the former these tests
are skipped, everywhere: ``tests/boards/test_mlperf.py`` has the protocol's rules.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgeflow import api
from edgeflow.codegen.build import Build
from edgeflow.data import Dataset
from edgeflow.device import open_board
from edgeflow.exporting.mlperf import Benchmark, write_benchmark
from edgeflow.targets.pins import pin_number
from tests.testbeds.desk import Desk, Device
from tests.testbeds.mlperf import (
    INTERFACE,
    MONITOR,
    STLINK,
    Firmware,
    InterfaceBoard,
    PowerMonitor,
    Wire,
)

RUNNER = os.environ.get("EDGEFLOW_MLPERF_RUNNER")
PYTHON = os.environ.get("EDGEFLOW_MLPERF_PYTHON", sys.executable)
TEXTS = ("Maker", "Product", "1", "Serial port")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(RUNNER is None, reason="EDGEFLOW_MLPERF_RUNNER names no benchmark/runner"),
]


def compiled(model: Path, board: str, folder: Path, mode: str = "performance") -> Build:
    return api.compile(model, board, folder, mlperf="har01", mlperf_mode=mode, backend="c")


def run(desk: Desk, mode: str, folder: Path, work: Path) -> subprocess.CompletedProcess[str]:
    """Run the benchmark's runner in a folder of its own."""
    work.mkdir()
    command = [PYTHON, f"{RUNNER}/main.py", "--mode", mode[0]]
    command += ["--device_list", f"{folder}/devices.yaml", "--dataset_path", f"{folder}/datasets"]
    command += ["--test_script", f"{folder}/tests_{mode}.yaml"]
    done = desk.run(command, timeout=900, folder=work)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def direct(desk: Desk, build: Build, mode: str, folder: Path, work: Path) -> str:
    """Run it with the board at a serial port of its own; return what it says."""
    firmware = Firmware(open_board(build.spec(), image=build.elf))
    device = Device("board", *STLINK, TEXTS, firmware.say, tty="ttyACM0")
    firmware.heard = device.say
    desk.plug(device)
    firmware.start()
    try:
        return run(desk, mode, folder, work).stdout
    finally:
        firmware.close()
        desk.clear()


def wrote(build: Build, data: Dataset, folder: Path, windows: int, count: int) -> Benchmark:
    return write_benchmark(build, data, folder, windows=windows, inferences=count)


@pytest.mark.parametrize("board", ["host", pytest.param("qemu-m4", marks=pytest.mark.board)])
def test_accuracy(
    board: str, desk: Desk, trained_gru: Path, seglearn: Dataset, tmp_path: Path
) -> None:
    """As the reference's on the same windows, to the digit that the runner prints."""
    build = compiled(trained_gru / "model.onnx", board, tmp_path / "build")
    made = wrote(build, seglearn, tmp_path / "bench", 60, 1)
    said = direct(desk, build, "accuracy", tmp_path / "bench", tmp_path / "work")
    found = re.search(r"Top 1% = ([0-9.]+)", said)
    assert found is not None and found[1] == f"{100 * made.accuracy:.1f}"
    assert f"Device name retrieved: EdgeFlow {board}" in said


@pytest.mark.board
def test_performance(desk: Desk, trained_gru: Path, seglearn: Dataset, tmp_path: Path) -> None:
    """Five measurements of more than ten seconds by the board's time, which is its estimate."""
    build = compiled(trained_gru / "model.onnx", "qemu-m4", tmp_path / "build")
    made = write_benchmark(build, seglearn, tmp_path / "bench", windows=40)
    said = direct(desk, build, "performance", tmp_path / "bench", tmp_path / "work")
    assert said.count("Runtime requirements have been met") == 5 and "ERROR" not in said
    assert build.mlperf is not None and build.mlperf.step_cycles is not None
    expected = 120e6 / (build.mlperf.step_cycles * build.program().window)
    median = re.search(r"Median throughput is +([0-9.]+) inf", said)
    assert median is not None and float(median[1]) == pytest.approx(expected, rel=1e-3)
    assert made.inferences / expected > 10


@pytest.mark.board
def test_energy(desk: Desk, trained_gru: Path, seglearn: Dataset, tmp_path: Path) -> None:
    """Edges of the emulated chip's pin stand at the begin and end of what the monitor measures."""
    build = compiled(trained_gru / "model.onnx", "qemu-m0", tmp_path / "build", "energy")
    wrote(build, seglearn, tmp_path / "bench", 40, 200)
    spec, log = build.spec(), tmp_path / "pins.log"
    assert spec.gpio is not None and spec.uart is not None and spec.uart.baud == 9600
    log.touch()  # QEMU may open it later than we do
    arguments = [*spec.runner.args, *Wire.ARGUMENTS, str(log)]  # type: ignore[union-attr]
    runner = spec.runner.model_copy(update={"args": arguments})
    firmware = Firmware(open_board(spec.model_copy(update={"runner": runner}), image=build.elf))
    monitor_port = Device(
        "monitor", *MONITOR, TEXTS, lambda x: monitor.take(x), tty="ttyACM1", place=2
    )
    monitor = PowerMonitor(monitor_port.say, rate=50)
    port = Device(
        "interface", *INTERFACE, TEXTS, lambda x: interface.take(x), tty="ttyACM0", place=1
    )
    wire = Wire(log, pin_number(spec.gpio.pin) % 32, monitor)
    interface = InterfaceBoard(firmware, port.say, wire)
    desk.plug(port)
    desk.plug(monitor_port)
    firmware.start()
    try:
        said = run(desk, "energy", tmp_path / "bench", tmp_path / "work").stdout
    finally:
        firmware.close()
        desk.clear()
    assert interface.bauds == [9600] and monitor.edges == 10
    # 21.24 uJ in a millisecond between two edges, 1 uJ elsewhere
    assert len(re.findall(r"Power +: 21\.2400 mW", said)) == 5
    assert re.search(r"Median energy cost is [0-9.]+ uJ/inf", said)
    assert {"volt 3300m", "start", "stop", "hrc"} <= set(monitor.commands)

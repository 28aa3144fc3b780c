"""What the runner of the MLPerf Tiny benchmark reads, for a build and a data set.

The runner (``benchmark/runner`` of mlcommons/tiny) takes a list of devices, a test script for each
of its modes, and a folder of data sets with a folder for each model (``docs/mlperf.md``).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeflow.codegen.build import Build
from edgeflow.codegen.fit import Fit
from edgeflow.data import Dataset, Windows, choose_windows
from edgeflow.device.ports import usb_ids
from edgeflow.errors import DataError, TargetError
from edgeflow.files import FolderKind, output_folder, write_atomic
from edgeflow.program import Program

FOLDER = FolderKind("mlperf")
#: What the rules ask of a measurement, in seconds, and what is aimed at: estimates err.
SHORTEST, _AIM = 10.0, 12.0
#: Windows of the modes performance and energy.
LOOPS = 5
_WARM_UPS = 10
#: USB ids of a serial port where the board's file has none that the runner could look for.
_STLINK = "0483:374B"
#: The interface board and the power monitor that the energy mode goes through, as they plug in.
_MONITORS = """\
- name: stm32h573i-dk
  type: interface
  preference: 1
  baud: 115200
  usb:
    0x0483: 0x374E
- name: lpm01a
  type: power
  preference: 1
  baud: 3686400
  voltage: {voltage:g}
  usb:
    0x0483: 0x5740
"""


@dataclass(frozen=True)
class Benchmark:
    """A folder for the runner.

    Parameters
    ----------
    model : str
        The benchmark's name of the model.
    windows : int
        Of the accuracy mode.
    accuracy : float
        Share of them, 0..1, that the bit-exact reference is right about.
    inferences : int
        Between the two times of the performance and energy modes.
    files : tuple of str
        Relative to the folder.
    """

    model: str
    windows: int
    accuracy: float
    inferences: int
    files: tuple[str, ...]


def write_benchmark(
    build: Build,
    dataset: Dataset,
    out: str | Path,
    *,
    split: str = "test",
    windows: int = 200,
    inferences: int | None = None,
    usb: tuple[int, int] | None = None,
    voltage: float = 3.3,
) -> Benchmark:
    """Write devices, test scripts and windows for the runner.

    Parameters
    ----------
    build : Build
        Compiled for the benchmark.
    dataset : Dataset
    out : path
        New, empty, or of this command.
    split : str
        Whose windows.
    windows : int
        At most this many, taken evenly.
    inferences : int, optional
        Between the two times; default: as many as should take 12 seconds.
    usb : (int, int), optional
        Vendor and product of the board's serial port, by which the runner finds it; default: the
        first of the board's file, else those of an ST-Link V2-1.
    voltage : float
        Supply of the board in the energy mode, V.

    Raises
    ------
    TargetError
        If the build is not for the benchmark, or nothing says how long a step takes.
    DataError
        If the data do not fit the program, or a class has no window.
    OutputError
        If the folder holds what EdgeFlow did not make.
    """
    if build.mlperf is None:
        raise TargetError(
            f"{build.directory}: not for the benchmark: compile it with --mlperf MODEL, the "
            "benchmark's name of the model, such as kws01"
        )
    program = build.program()
    chosen = choose_windows(program, dataset, split, windows * program.window)
    _check(program, chosen)
    count = _inferences(build, program) if inferences is None else inferences
    x = program.quantize_input(chosen.x)
    right = program.run(x)[:, -1].argmax(axis=-1) == chosen.y
    model = build.mlperf.model
    texts = {
        "devices.yaml": _devices(build, usb or _usb(build), voltage),
        "tests_accuracy.yaml": _script(model, "loop", "infer 1 0"),
        **{
            f"tests_{mode}.yaml": _script(model, f"loop {LOOPS}", f"infer {count} {_WARM_UPS}")
            for mode in ("performance", "energy")
        },
    }
    names = [f"window-{number:05}.bin" for number in range(len(x))]
    size = x[0].size * 2
    labels = [
        f"{name},{program.outputs},{y},{size},{size}"
        for name, y in zip(names, chosen.y, strict=True)
    ]
    texts[f"datasets/{model}/y_labels.csv"] = "\n".join(labels) + "\n"
    with output_folder(out, FOLDER) as folder:
        for name, text in texts.items():
            write_atomic(folder.new / name, text)
        for name, window in zip(names, x, strict=True):
            write_atomic(folder.new / "datasets" / model / name, window.astype("<i2").tobytes())
        folder.commit()
    files = (*texts, *(f"datasets/{model}/{name}" for name in names))
    return Benchmark(model, len(x), float(right.mean()), count, files)


def _check(program: Program, windows: Windows) -> None:
    """Refuse windows that the runner ends at: it wants each class, and five of them."""
    there = np.unique(windows.y)
    absent = [name for number, name in enumerate(program.classes) if number not in there]
    if absent:
        raise DataError(
            f"none of the {len(windows.y)} windows is of the class '{absent[0]}', and the "
            "benchmark's runner needs one of each: take more windows"
        )
    if len(windows.y) < LOOPS:
        raise DataError(f"{len(windows.y)} windows: the benchmark's runner needs {LOOPS}")


def _inferences(build: Build, program: Program) -> int:
    """Return how many inferences should take longer than the rules ask."""
    assert build.mlperf is not None
    fit = Fit(program, build.spec(), build.choices)
    cycles = build.mlperf.step_cycles or fit.step_cycles()
    clock = fit.board.clock_hz if fit.part is None else fit.part.clock_hz
    if not cycles or clock is None:
        raise TargetError(
            f"{build.board}: nothing says how long a step takes: give --inferences, as many as "
            f"take longer than {SHORTEST:g} s"
        )
    return max(1, round(_AIM * clock / (cycles * program.window)))


def _usb(build: Build) -> tuple[int, int]:
    exact = (text for text in usb_ids(build.spec()) if "*" not in text)
    vendor, _, product = next(exact, _STLINK).partition(":")
    return int(vendor, 16), int(product, 16)


def _devices(build: Build, usb: tuple[int, int], voltage: float) -> str:
    assert build.mlperf is not None
    baud = 115200 if build.baud is None else build.baud
    modes = "".join(f"    {mode}: {baud}\n" for mode in ("energy", "performance", "accuracy"))
    board = f"- name: {build.board}\n  type: dut\n  baud:\n{modes}"
    if build.mlperf.mode == "energy":
        # the runner must not find the board itself, or it leaves the monitor out
        return board + _MONITORS.format(voltage=voltage)
    return f"{board}  usb:\n    0x{usb[0]:04X}: 0x{usb[1]:04X}\n"


def _script(model: str, loop: str, infer: str) -> str:
    return (
        f"{model}:\n  name: {model}\n  model: {model}\n  truth_file: y_labels.csv\n"
        f"  script:\n    - {loop}:\n      - download\n      - {infer}\n"
    )

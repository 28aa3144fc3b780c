"""A population of chips over years: programs, each with its own luck, on the same data."""

import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeflow import __version__
from edgeflow.data.select import choose_sequences
from edgeflow.data.sequences import Sequences, training_stretches
from edgeflow.digest import read_json, sealed_json
from edgeflow.errors import ImcError
from edgeflow.files import write_atomic
from edgeflow.imc.chip import Chip
from edgeflow.imc.counting import WINDOWS, costs_of
from edgeflow.imc.device import Device, load_device
from edgeflow.imc.energy import NODE_NM
from edgeflow.imc.options import ArrayOptions
from edgeflow.imc.placement import Placement
from edgeflow.imc.ranges import placement
from edgeflow.imc.result import ImcResult, row_of
from edgeflow.program import Program
from edgeflow.progress import StageProgress, silent

if TYPE_CHECKING:
    from edgeflow.data import Dataset

#: A second, an hour, a day, a year.
TIMES = (1.0, 3600.0, 86400.0, 31536000.0)
#: Windows that are run side by side.
SIDE_BY_SIDE = 512
#: Most chips of a simulation: more are a typing error.
MOST = 100_000
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

#: Scores of a chip at each time.
ChipScores = list[dict[str, Any]]


def simulate(
    program: Program,
    data: "Dataset",
    *,
    device: Device | str | Path = "pcm",
    chips: int = 25,
    times: Sequence[float] | None = None,
    options: ArrayOptions | None = None,
    split: str = "test",
    node_nm: float = NODE_NM,
    standby_w: float | None = None,
    processes: int = 1,
    partial: Path | None = None,
    progress: StageProgress = silent,
) -> ImcResult:
    """Run a program on analog chips, at times since they were programmed.

    Parameters
    ----------
    program : Program
    data : Dataset
        Ranges of converters come from its training subjects; it is scored on those of `split`.
    device : Device, str or path
        A name of `edgeflow.imc.device_names`, or a file of one's own.
    chips : int
        From 1.
    times : sequence of float, optional
        Seconds since programming; default: those of `default_times`.
    options : ArrayOptions, optional
    split : str
    node_nm : float
        Technology in nm, of the models of energy that have several.
    standby_w : float, optional
        What the chip takes all the time, in W: no source says it.
    processes : int
        That chips are spread over; the result does not depend on it.
    partial : Path, optional
        File that keeps finished chips, so that a call with equal arguments goes on there.
    progress : callable

    Raises
    ------
    ImcError
        If a value is wrong, the device has no data of a time, or an array is too small.
    DataError
        If data and program do not fit, or a split is empty.
    """
    options = options or ArrayOptions()
    device = device if isinstance(device, Device) else load_device(device)
    times = _checked(device, chips, times, processes)
    progress("placing the program on arrays", 0, 0)
    found = _integers(program, data, split)
    plan = placement(program, device, options, _calibration(program, data, options))
    run = _Run(plan, found, times)
    arguments = {
        "model": program.hash.hex(), "device": device.model_dump(mode="json"),
        "options": options.settings(), "data": data.name, "split": split, "times": list(times),
        "steps": found.steps, "edgeflow": __version__,
    }  # fmt: skip
    scores = _kept(partial, arguments)
    stage = f"simulating {chips} chips"
    progress(stage, min(len(scores), chips), chips)
    for number, one in _chips(run, [n for n in range(chips) if n not in scores], processes):
        scores[number] = one
        if partial is not None:
            write_atomic(partial, sealed_json({"arguments": arguments, "chips": scores}))
        progress(stage, min(len(scores), chips), chips)
    task = program.task
    rows = [
        row_of(seconds, [scores[n][at] for n in range(chips)], task.headline)
        for at, seconds in enumerate(times)
    ]
    return ImcResult(
        edgeflow=__version__, model=program.hash.hex(), device=device.name, about=device.about,
        sources=list(device.sources), unverified=list(device.unverified),
        options=options.settings(), dataset=data.name, split=split,
        windows=len(found.truth), steps=found.steps, recordings=found.recordings,
        classes=list(program.classes), task=program.metadata.get("task"),
        arrays=sum(len(one.tiles) for one in plan.placed), ideal=run.scores(program), chips=chips,
        times=rows, notes=digital(program),
        costs=costs_of(plan, _few(found), node_nm=node_nm, standby_w=standby_w),
    )  # fmt: skip


def default_times(device: Device) -> tuple[float, ...]:
    """Return a second, an hour, a day and a year, or what the device has data of, in seconds."""
    first, last = device.first_s or 0.0, device.last_s
    usual = tuple(t for t in TIMES if first <= t and (last is None or t <= last))
    return device.times_s or usual or (first,)


def digital(program: Program) -> list[str]:
    """Return notes on layers whose arithmetic is not, or not all, on arrays."""
    without = [node for node in program.nodes if not node.products() and node.macs()]
    kinds = [f"layer {node.name} ({node.op_type}) is computed digitally" for node in without]
    memories = [
        f"layer {node.name} ({node.op_type}): its matrices are on arrays, the rest of its "
        f"{node.macs():,} multiplications is digital"
        for node in program.nodes
        if node.products() and node.macs() > sum(m.weight.size for m in node.products().values())
    ]
    return kinds + memories


class _Run:
    """What a chip is scored on, at all times."""

    def __init__(self, plan: Placement, found: Sequences, times: Sequence[float]) -> None:
        self._plan, self._found, self._times = plan, found, times

    def chip(self, number: int) -> ChipScores:
        chip = Chip(self._plan, number)
        return [self.scores(chip.at(seconds)) for seconds in self._times]

    def scores(self, program: Program) -> dict[str, Any]:
        found, task = self._found, program.task
        outputs = found.run(program.run, SIDE_BY_SIDE)
        decided = task.decisions(found.counted(outputs), program.scaling)
        truth, person = found.truth, found.of_decisions(found.person)
        plain: dict[str, Any] = json.loads(json.dumps(task.scores(truth, decided, person)))
        return plain


def _checked(
    device: Device, chips: int, times: Sequence[float] | None, processes: int
) -> tuple[float, ...]:
    for name, value, most in (("chips", chips, MOST), ("processes", processes, 1024)):
        if not isinstance(value, int) or not 1 <= value <= most:
            raise ImcError(f"{name} is {value}: give a whole number in 1..{most}")
    found = tuple(sorted({float(time) for time in times or default_times(device)}))
    for seconds in found:
        device.check_time(seconds)
    return found


def _integers(program: Program, data: "Dataset", split: str) -> Sequences:
    found = choose_sequences(program, data, split)
    return replace(found, x=[program.quantize_input(x) for x in found.x])


def _calibration(program: Program, data: "Dataset", options: ArrayOptions) -> Any:
    """Return samples of training subjects, where there are ranges to be chosen."""
    if options.adc is None:
        return None
    return program.quantize_input(training_stretches(data, program.window))


def _few(found: Sequences) -> Any:
    """Return some sequences of equal length, [n, time, inputs]."""
    chosen = found.x[:: max(len(found.x) // WINDOWS, 1)][:WINDOWS]
    length = min(len(x) for x in chosen)
    return np.stack([x[:length] for x in chosen])


def _kept(partial: Path | None, arguments: dict[str, Any]) -> dict[int, ChipScores]:
    """Return the finished chips of a file with equal arguments."""
    if partial is None or not partial.exists():
        return {}
    try:
        content = read_json(partial)
        if content["arguments"] == json.loads(json.dumps(arguments)):
            return {int(number): scores for number, scores in content["chips"].items()}
    except (ValueError, LookupError, TypeError, AttributeError):
        pass  # damaged: its chips are made again
    return {}


def _chips(run: _Run, numbers: Sequence[int], processes: int) -> Iterator[tuple[int, ChipScores]]:
    if processes == 1 or len(numbers) < 2:
        for number in numbers:
            yield number, run.chip(number)
        return
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ |= dict.fromkeys(_THREADS, "1")  # more threads than cores make all slow
    try:
        with ProcessPoolExecutor(
            min(processes, len(numbers)), multiprocessing.get_context("spawn"), _begin, (run,)
        ) as pool:
            jobs = {pool.submit(_chip, number): number for number in numbers}
            try:
                for job in as_completed(jobs):
                    yield jobs[job], job.result()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


_run: _Run | None = None


def _begin(run: _Run) -> None:
    global _run
    _run = run


def _chip(number: int) -> ChipScores:
    assert _run is not None
    return _run.chip(number)

"""Profiling: streams windows to a board and compares every output with the program's."""

import errno
import os
import platform
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from edgeflow import __version__
from edgeflow.codegen.build import Build, earlier
from edgeflow.codegen.package import Package, load_made
from edgeflow.data import Dataset, Sequences, choose_sequences, match_notes
from edgeflow.data.frames import for_channels
from edgeflow.data.sequences import SIDE_BY_SIDE
from edgeflow.device import Client, Line, open_board, protocol
from edgeflow.device.probes import Probe
from edgeflow.device.simavr import simavr_version
from edgeflow.errors import DeviceError, EdgeFlowError, TargetError
from edgeflow.files import FolderKind, OutputFolder, check_outputs, output_folder, write_atomic
from edgeflow.profiling import scored
from edgeflow.profiling.beside import Beside, begin
from edgeflow.profiling.classes import describe
from edgeflow.profiling.counts import Counts, read_counts
from edgeflow.profiling.curves import curves_of
from edgeflow.profiling.fit import fit_rows
from edgeflow.profiling.models import estimate_cycles, load_cycle_model
from edgeflow.profiling.plugin import qemu_version
from edgeflow.profiling.probed import POWER, PowerRun, Ticks
from edgeflow.profiling.quantizer import quantizer_cost
from edgeflow.profiling.result import ProfileResult, histogram, misfit, summarize
from edgeflow.profiling.timing import Timing, estimated_timing
from edgeflow.profiling.trace import Trace, prepare_trace
from edgeflow.program import Program
from edgeflow.program.firing import fired_shares, sparsity
from edgeflow.targets.board import BoardSpec, Placement
from edgeflow.targets.elf import compiler_of
from edgeflow.targets.part import estimated_part
from edgeflow.targets.runner import SimavrRunner
from edgeflow.targets.size import SizeReport, layer_bytes, measure_size

Progress = Callable[[int, int], None]
#: Files of a result, and of one that was interrupted.
RESULT, PARTIAL = "profile.json", "profile.partial.json"
REPORT, PARTIAL_REPORT = "report.html", "report.partial.html"


def _earlier(folder: Path) -> dict[str, list[str]]:
    """Return the files that a version without marks made in a folder, by command."""
    if found := earlier(folder):
        return found
    try:
        ProfileResult.load(folder / RESULT)
    except EdgeFlowError:
        return {}
    return {"profile": [name for name in (RESULT, REPORT) if (folder / name).is_file()]}


#: Of ``edgeflow profile``, which also writes into the folder of a build or an export.
FOLDER = FolderKind("profile", beside=("compile", "export", "float"), earlier=_earlier)


def check_profile(folder: str | Path, inputs: Mapping[str, object]) -> None:
    """Refuse a folder that is not for a profile, or holds what is read as one of its files.

    Raises
    ------
    OutputError
        As of `FolderKind.check` and `check_outputs`.
    """
    FOLDER.check(folder)
    names = (RESULT, REPORT, PARTIAL, PARTIAL_REPORT)
    check_outputs((Path(folder) / name for name in names), inputs)


def profile(
    build: Build | Package | str | Path,
    dataset: Dataset,
    *,
    split: str = "test",
    steps: int | None = None,
    board: BoardSpec | str | None = None,
    port: str | None = None,
    runner: str | None = None,
    no_flash: bool = False,
    float_accuracy: float | None = None,
    out: str | Path | None = None,
    report: bool = False,
    pace_hz: float | None = None,
    probe: Probe | None = None,
    progress: Progress | None = None,
) -> ProfileResult:
    """Run a build on its board and compare every output with the bit-exact reference.

    Parameters, result and errors are those of `edgeflow.profile`, whose data is here a data set;
    with `report` there is a ``report.html``, too. With `pace_hz` one step is sent at a time, so
    many a second, and the board idles in between. A `probe` records the power of all steps.
    """
    build = load_made(build) if isinstance(build, str | Path) else build
    if isinstance(build, Package):
        build.check_port(port, runner)
        no_flash = True
    spec = build.spec(board)
    program = build.program()
    dataset = for_channels(dataset, program.input.channels, program.window)
    sequences = choose_sequences(program, dataset, split, steps)
    run = _Run(build, spec, program, sequences, progress)
    # at a port there may be the same board as a chip
    run.rtl = spec.runner.rtl_label if port is None else None
    run.pace_hz, run.power = pace_hz, None if probe is None else PowerRun(probe)
    before: tuple[float | None, int | None] = (float_accuracy, None)
    if float_accuracy is None:
        before = scored.stored_score(program, dataset, split)
    place = {"port": port, "runner": runner, "no_flash": no_flash}
    with output_folder(build.directory if out is None else out, FOLDER) as folder:
        failure, quantizer = _stream(run, folder, sequences, place)
        result = run.result(
            before,
            complete=failure is None,
            dataset=dataset.name,
            split=split,
            rate_hz=float(dataset.rate_hz),
            notes=match_notes(program, dataset),
            versions=_versions(build, spec if port is None else None),
            quantizer=quantizer,
        )
        if run.power is not None:
            result = run.power.added(result, folder.new / POWER)
        aside = failure is not None and _is_complete(folder.path / RESULT)
        names = (PARTIAL, PARTIAL_REPORT) if aside else (RESULT, REPORT)
        result.save(folder.new / names[0])
        if report:
            from edgeflow.profiling.report import render  # pictures take a second to load

            write_atomic(folder.new / names[1], render(result))
        # what is complete goes when something complete is there
        folder.commit(None if failure is None else (*names, POWER))
    if failure is not None:
        raise failure
    return result


def _is_complete(path: Path) -> bool:
    try:
        return ProfileResult.load(path).complete
    except EdgeFlowError:
        return False


def _stream(
    run: "_Run", folder: OutputFolder, sequences: Sequences, place: Mapping[str, Any]
) -> tuple[BaseException | None, dict[str, Any] | None]:
    """Run the board; return what ended it too early, and what quantizing costs."""
    build, spec, program = run.build, run.spec, run.program
    emulator = spec.emulator if place["port"] is None else None
    trace = None
    if emulator is not None:
        cache = run.part.data_cache if run.part is not None else None
        assert isinstance(build, Build)
        trace = prepare_trace(build.elf, folder.scratch, qemu=emulator, data_cache=cache)
    plugin = trace.plugin if trace is not None else None
    failure: BaseException | None = None
    beside: Beside | None = None
    image = build.elf if isinstance(build, Build) else None
    try:
        expected = replace(build.expected, model_hash=program.hash)
        with (
            open_board(spec, image=image, plugin=plugin, **place) as opened,
            opened.start(expected) as client,
        ):
            if opened.wrote and opened.tool:
                run.notes.append(f"{opened.tool} wrote the image to {spec.name}")
            if trace is not None:
                beside = run.begin_block(client, trace, folder.scratch)
            with run.power or nullcontext():
                run.stream(client)
            if beside is not None:
                beside.block.wait(run.told)
    except (KeyboardInterrupt, DeviceError) as error:
        failure = error
    finally:
        if beside is not None:
            beside.block.stop()
    if beside is not None and trace is not None:
        trace = run.end_block(beside, trace)
    if failure is not None:
        full = errno.ENOSPC
        if os.strerror(full) in str(failure):  # nor is there room for what was collected
            raise OSError(full, os.strerror(full), str(folder.path)) from failure
        if not run.y:
            raise failure
    overlap = program.hop > 0
    counts = read_counts(trace.out, overlap=overlap) if trace is not None else None
    counted = run.steps if counts is None else len(counts)
    if counted < run.steps or (failure is None and counted != run.steps):
        raise DeviceError(
            f"{spec.name}: the board ran {run.steps} steps, the emulator counted {counted}: "
            "compile again"
        )
    quantizer = None
    if counts is not None:
        run.counts = counts.first(run.steps)
    if counts is not None and failure is None:
        assert isinstance(build, Build)
        placed = spec.model_copy(update={"placement": build.placement})
        try:
            quantizer = quantizer_cost(program, placed, np.concatenate(sequences.x), build.counts)
        except (KeyboardInterrupt, DeviceError) as error:
            failure = error
    return failure, quantizer


class _Run:
    """A build on a board: the answers so far, and what they say."""

    def __init__(
        self,
        build: Build | Package,
        spec: BoardSpec,
        program: Program,
        sequences: Sequences,
        progress: Progress | None,
    ) -> None:
        self.build, self.spec, self.program = build, spec, program
        self.part = estimated_part(spec)
        # int16 [time, inputs] each
        self.all = replace(sequences, x=[program.quantize_input(x) for x in sequences.x])
        self.notes: list[str] = []
        self.y: list[np.ndarray] = []
        self.cycles: list[np.ndarray] = []
        self.cycles_hz = 0
        self.rtl: str | None = None
        self.pace_hz: float | None = None
        self.marker_us: float | None = None
        self.mark_cycles = 0
        self.power: PowerRun | None = None
        self.stack_bytes: int | None = None
        self.line = Line()
        self.board_errors: int | None = None
        self.counts: Counts | None = None
        self.at_port: int | None = None
        self._told = 0
        self._progress = progress or (lambda done, total: None)

    @property
    def steps(self) -> int:
        return sum(len(y) for y in self.y)

    def stream(self, client: Client) -> None:
        total = self.all.steps
        self.cycles_hz = client.hello.cycles_hz
        if isinstance(self.build, Package):
            self.spec = self.spec.model_copy(update={"name": client.hello.board})
        self.line = client.line
        self._progress(0, total)
        pace = Ticks(self.pace_hz)
        for number, x in enumerate(self.all.x[: self.at_port]):
            if self._forgets(number):
                client.forget()
            result = client.steps(x, reset=True) if self.pace_hz is None else pace.steps(client, x)
            if result.cycles is not None:
                self.cycles.append(result.cycles)
            self.y.append(result.y)
            self.told(self.steps)
        stats = client.stats()
        self.stack_bytes = stats.stack_bytes
        if stats.marker_cycles is not None and self.cycles_hz:
            self.marker_us = stats.marker_cycles * 1e6 / self.cycles_hz
            gpio = self.spec.gpio
            if gpio is not None and gpio.layers is not None and self.program.cutoff is None:
                self.mark_cycles = stats.marker_cycles * len(self.program.nodes)
        # of texts between frames the host knows; some of them may have been lost
        self.board_errors = max(0, stats.frame_errors - self.line.syncs)

    def _forgets(self, number: int) -> bool:
        """Tell whether a sequence begins as trained: labels, of which none come, teach once."""
        return self.program.adapts and (number == 0 or not self.program.learns)

    def told(self, steps: int) -> None:
        """Report progress, which never goes back."""
        self._told = max(self._told, steps)
        self._progress(self._told, self.all.steps)

    def begin_block(self, client: Client, trace: Trace, folder: Path) -> Beside | None:
        """Start all steps beside those at the port; none that are sent at a pace."""
        if self.pace_hz is not None or not isinstance(self.build, Build):
            return None
        x, elf = self.all.x, self.build.elf
        forget = [self._forgets(number) for number in range(len(x))]
        block = begin(self.spec, elf, client.hello, x, forget, trace, folder)
        self.at_port = None if block is None else block.at_port
        return block

    def end_block(self, beside: Beside, trace: Trace) -> Trace:
        """Take the answers of a block, if it came further than the port; return whose counts."""
        taken = beside.taken(self.y, trace, overlap=self.program.hop > 0)
        if taken is None:
            return trace
        self.y, trace, stats = taken
        if stats is not None:
            self.stack_bytes = max(stats.stack_bytes, self.stack_bytes or 0)
        return trace

    def result(self, before: tuple[float | None, int | None], **known: Any) -> ProfileResult:
        """Return the result; `before`: headline of the float model and its number of windows.

        `known` are further fields of the result.
        """
        build, spec, program, counts = self.build, self.spec, self.program, self.counts
        ran = self.all.first(len(self.y))
        expected = ran.run(program.run, SIDE_BY_SIDE)
        pairs = zip(self.y, expected, strict=True)
        y, oracle, truth = ran.counted(self.y), ran.counted(expected), ran.truth
        timing, by_layer = self._timing()
        rate = known["rate_hz"]
        size, placement, any_part = None, Placement(), False
        if isinstance(build, Build):
            size = measure_size(build.elf, build.objects).with_stack(self.stack_bytes)
            placement, any_part = build.placement, build.any_part
        fit = fit_rows(spec, self.part, size, placement, timing, rate, any_part)
        known["notes"] += self.notes + [misfit(row) for row in fit if not row["fits"]]
        person = ran.of_decisions(ran.person)
        stored = program.metadata if before[1] is not None else {}
        distributions = {}
        if counts is not None:
            distributions["instructions_per_step"] = histogram(counts.instructions)
        if timing.latency_us is not None:
            distributions["latency_us"] = histogram(timing.latency_us)
        return ProfileResult(
            edgeflow=__version__,
            board=spec.name,
            board_description=spec.description,
            core=spec.core.name,
            model=build.model_hash,
            classes=list(program.classes),
            steps=self.steps,
            windows=len(truth),
            window=program.window,
            hop=program.hop,
            recordings=ran.recordings,
            accuracy_float_windows=before[1],
            **scored.scores(program, y, oracle, truth, person, before[0]),
            mismatches=sum(int((one != other).any(axis=1).sum()) for one, other in pairs),
            instructions_per_step=None if counts is None else summarize(counts.instructions),
            cycles_per_step=timing.summary(timing.cycles),
            latency_us=timing.summary(timing.latency_us),
            energy_uj=timing.energy(self.part),
            **self._memory(size),
            layers=self._layers(size, by_layer),
            instruction_mix={} if counts is None else _mix(counts),
            delta=sparsity(program, fired_shares(program, *ran.from_resets())),
            distributions=distributions,
            estimate=timing.provenance(placement.weights),
            warmup=scored.warmup(
                program, *ran.starts(self.y), stored.get("warmup", {}).get("float", {})
            ),
            cutoff=scored.cutoff(program, ran, counts),
            curves=curves_of(program, y, truth, ran.stream),
            task=program.task.name,
            fit=fit,
            line=self._line(),
            pace_hz=self.pace_hz,
            marker_us=self.marker_us,
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            **known,
        )

    def _memory(self, size: SizeReport | None) -> dict[str, Any]:
        """Return the fields of memory; of another tool's image only the program's are known."""
        if size is not None:
            return {
                "flash_bytes": size.flash_bytes,
                "ram_bytes": size.ram_bytes,
                "stack_bytes": size.stack_bytes,
                "flash": size.flash,
                "ram": size.ram,
            }
        assert isinstance(self.build, Package)
        return {
            "flash_bytes": None,
            "ram_bytes": None,
            "stack_bytes": self.stack_bytes or None,
            "flash": {"weights": self.build.weight_bytes},
            "ram": {"model": self.build.state_bytes},
        }

    def _line(self) -> dict[str, Any]:
        """Return `ProfileResult.line`."""
        times = np.array(self.line.round_trips) * 1e3
        return {
            "round_trip_ms": summarize(times) if len(times) else None,
            "requests": self.line.requests,
            "retries": self.line.retries,
            "damaged": self.line.damaged,
            "board_errors": self.board_errors,
            "resets": self.line.resets,
        }

    def _timing(self) -> tuple[Timing, np.ndarray | None]:
        """Return the measured or estimated timing, and the estimated cycles by layer."""
        if self.counts is not None and self.part is not None:
            model = load_cycle_model(self.spec.core.name)
            cycles = None if model is None else estimate_cycles(self.counts, model, self.part)
            if model is not None and cycles is not None:
                return estimated_timing(self.counts, cycles, model, self.part), cycles
        if self.spec.emulated or self.cycles_hz == 0 or not self.cycles:
            return Timing(), None
        ticks = np.concatenate(self.cycles[: len(self.y)]).astype(np.float64)
        ticks = np.maximum(0.0, ticks - self.mark_cycles)
        latency = ticks * 1e6 / self.cycles_hz
        clock = self.cycles_hz == protocol.NANOSECONDS
        return Timing(None if clock else ticks, latency, rtl=self.rtl), None

    def _layers(self, size: SizeReport | None, cycles: np.ndarray | None) -> list[dict[str, Any]]:
        """Return a row per layer and, where instructions are counted, one of what is of none."""
        build, sizes = self.build, dict[str, int]()
        if isinstance(build, Build):
            sizes = layer_bytes(build.elf, build.layers, build.source)
        rows: list[dict[str, Any]] = [
            {
                "name": node.name,
                "type": node.op_type,
                "inputs": node.inputs,
                "outputs": node.outputs,
                "bytes": sizes.get(node.name),
                "instructions_mean": None,
            }
            for node in self.program.nodes
        ]
        if self.counts is None or size is None:
            return rows
        rest = {"name": "(rest)", "type": None, "inputs": None, "outputs": None}
        rows.append(
            {
                **rest,
                "bytes": size.flash["weights"] - sum(sizes.values()),
                "instructions_mean": None,
            }
        )
        instructions = self.counts.layers.mean(axis=0)
        if len(instructions) != len(rows):
            raise TargetError(
                f"{build.directory}: {len(rows) - 1} layers in build.json, the image marks "
                f"{len(instructions) - 1}: compile again"
            )
        for i, row in enumerate(rows):
            row["instructions_mean"] = float(instructions[i])
            row["cycles_mean"] = None if cycles is None else float(cycles[:, i].mean())
        return rows


def _versions(build: Build | Package, started: BoardSpec | None) -> dict[str, str]:
    """Return versions of all that made the figures; `started`: the board, where it ran here."""
    emulator = None if started is None else started.emulator
    simulated = started is not None and isinstance(started.runner, SimavrRunner)
    objects = []
    if isinstance(build, Build):
        objects = sorted((build.objects / "model").glob("*.o"))
    found = {
        "edgeflow": __version__,
        "python": platform.python_version(),
        "compiler": compiler_of(objects[0]) if objects else None,
        "qemu": qemu_version(emulator) if emulator is not None else None,
        "simavr": simavr_version() if simulated else None,
    }
    return {name: version for name, version in found.items() if version is not None}


def _mix(counts: Counts) -> dict[str, float]:
    mean = counts.total / len(counts)
    mix: dict[str, float] = {}
    for number, value in zip(counts.numbers, mean, strict=True):
        name = describe(int(number))[0]
        mix[name] = mix.get(name, 0.0) + float(value)
    return mix

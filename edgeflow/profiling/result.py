"""Results of profiling: the content of ``profile.json``, and the statistics in it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgeflow.digest import ChangedError, read_json, sealed_json
from edgeflow.errors import CheckFailed, EdgeFlowError, ProgramError
from edgeflow.files import write_atomic
from edgeflow.profiling.stored import check_scores, check_values
from edgeflow.tasks import Task, from_json, task_of

MEASURED, ESTIMATED = "measured", "estimated"
#: Of a row of `ProfileResult.fit`.
TIME = "time between samples"


def summarize(values: np.ndarray) -> dict[str, float]:
    """Return mean, p50, p99 and max of the values [steps]; percentiles are values that occur.

    Raises
    ------
    EdgeFlowError
        If there are none.
    """
    if len(values) == 0:
        raise EdgeFlowError("no step was run: there is nothing to summarize")
    p50, p99 = np.percentile(values, [50, 99], method="inverted_cdf")
    return {
        "mean": float(values.mean()),
        "p50": float(p50),
        "p99": float(p99),
        "max": float(values.max()),
    }


def histogram(values: np.ndarray, bins: int = 40) -> dict[str, list[float]]:
    """Return ``edges`` [n + 1] and ``counts`` [n] of a histogram for plots."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return {"edges": [low, high], "counts": [len(values)]}
    if np.issubdtype(values.dtype, np.integer):
        bins = min(bins, int(high - low) + 1)
    counts, edges = np.histogram(values, bins=bins)
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def task_of_run(run: Mapping[str, Any]) -> Task:
    """Return the task of a profile, the content of ``profile.json``."""
    described = (run["metrics"] or {}).get("task")
    return task_of(run["classes"]) if described is None else from_json(described)


def headline_of_run(run: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the task's headline by "float" (before compression), "oracle" and "device"."""
    kinds = ("float", "oracle", "device")
    found = (run["metrics"] or {}).get("headline")
    return found or {kind: run[f"accuracy_{kind}"] for kind in kinds}


def misfit(row: Mapping[str, Any]) -> str:
    """Return the text of a row that does not fit."""
    share = f"{100 * row['used'] / row['room']:,.0f} %"
    if row["what"] == TIME:
        used, room = (f"{row[key]:,.{0 if row[key] >= 100 else 1}f}" for key in ("used", "room"))
        return (
            f"{row['of']} is too slow: a step takes {used} µs, {share} of the {room} µs between "
            "samples"
        )
    return (
        f"{row['of']} has too little {row['what']}: {row['used']:,.0f} of {row['room']:,.0f} bytes "
        f"({share})"
    )


@dataclass(frozen=True)
class ProfileResult:
    """One run on one board; the fields are those of ``profile.json``.

    Quantities that were neither measured nor can be estimated are None. `kind` in a quantity is
    ``measured`` or ``estimated``; `model` then names the model, and `error_percent` is its
    largest error on published figures, None if there are none. A quantity that was measured on a
    core simulated from its RTL has `rtl`, which names core, package and configuration.

    Attributes
    ----------
    complete
        True if all windows were run.
    model
        Hash of the program, 16 hex digits.
    steps, windows
        Number of those that ran. Of a program without windows, each step of `recordings` counts as
        one but for the first of each (half a window, or as trained); `window` is 0.
    hop
        Samples from one decision to the next, of windows that overlap; 0: they do not. Each such
        decision counts in `windows`.
    recordings
        Number of whole recordings that ran; None of a program with windows that do not overlap.
    accuracy_float, accuracy_oracle, accuracy_device
        0..1: of the model before compression, of the bit-exact reference on the windows that ran,
        and of the board on the same. None of another task than classification.
    accuracy_float_windows
        Number of windows that `accuracy_float` was measured on; None if not known.
    mismatches
        Steps in which any output differed from the bit-exact reference's.
    confusion
        Of the device, counts: row the true class, column the predicted one; [] without classes.
    flash_bytes, ram_bytes
        Of the image; None of one that another build system made. Then `flash` has the program's
        ``weights`` alone, `ram` the ``model``'s state and scratch.
    instructions_per_step
        Exact counts; see ``docs/profiling.md`` for what they include.
    layers
        A row per layer: ``name``, ``type``, ``inputs`` and ``outputs`` (numbers of values),
        ``bytes`` (of its weights and other constants in the image), ``instructions_mean`` and,
        of an emulated board, ``cycles_mean``, both per step. Where instructions are counted,
        ``(rest)`` is what belongs to no layer: its bytes are the input's scales and offsets, and
        ``type``, ``inputs`` and ``outputs`` are None.
    instruction_mix
        Mean instructions per step by class.
    delta
        ``input_sparsity`` and ``state_sparsity``: share of the columns of delta matrices that were
        not updated, of those that read their layer's input and of those that read a state; None
        without any.
    distributions
        Histograms by the name of the quantity: ``edges`` and ``counts``.
    estimate
        Reference board, clock, models and their sources that the estimates rest on.
    warmup
        Of the board: ``accuracy`` (or another headline of the task) if a window ended after 1, 2,
        ... samples, and ``samples`` from which on it stays at 95 % of the last. ``accuracy_float``
        is that of the model before compression, [] where it was not stored for these subjects.
        None of a program whose outputs nothing scores.
    cutoff
        Of an early exit, None without one. ``samples_read`` of a window (mean, p50, p99, max),
        ``steps_skipped``, the share of steps, and their mean instructions,
        ``instructions_per_skipped_step``.
    curves
        The first decisions beside what was recorded, for plots: ``of`` ("steps" one after another,
        or "windows") and ``outputs``, of each ``name``, ``unit``, ``board`` and ``recorded``. None
        of classes of windows, and in a file of an older version.
    quantizer
        Of a sample's way from float to integers, ``NAME_quantize``, which is not in the other
        quantities as the host does it here: its mean ``instructions_mean`` (exact) and
        ``cycles_mean`` (estimated), on how many ``samples``, and ``mismatches``, those that the
        reference quantizes otherwise. Where the sensor's counts are known, ``counts`` has the same
        of ``NAME_quantize_counts``, which needs no float. None where instructions are not counted.
    task
        Task of the outputs, which says what `metrics` holds: ``classification``, another one of
        `edgeflow.tasks`, or ``values``.
    metrics
        Of the device's decisions on the windows that ran. ``overall``: ``accuracy``, ``macro_f1``,
        ``mcc``, and ``recall`` by class (None of a class without windows). ``subjects``: of each,
        ``windows``, ``accuracy`` and ``macro_f1``. Definitions are in `edgeflow.metrics`. Of
        another task its own metrics, its description (``task``) and the headline of the model
        before compression, the reference and the board (``headline``). None of ``values``, and in a
        file of an older version.
    samples_per_step
        Samples that a step reads.
    notes
        What data and program disagree about, and what does not fit, a line each.
    fit
        What the run took of the room that there is, a row each: ``what`` (``stack``, ``flash``,
        ``ram``, another memory of the part, ``memory`` of code and data alike, ``time between
        samples``), ``of`` (the board, or the part that estimates are for), ``used`` and ``room`` in
        ``unit``, ``fits``, ``fails`` (not to be explained by the error of an estimate, and not
        allowed when it was compiled); of time ``error_percent``.
    line
        How good the line to the board was: ``round_trip_ms`` of frames (mean, p50, p99, max; None
        if none was answered at once), ``requests``, ``retries`` (how often one was sent again),
        ``damaged`` (frames from the board), ``board_errors`` (frames to it, since it was last
        reset; None if it did not tell) and ``resets`` of the board. None in a file of an older
        version. Not compared by ``==``.
    pace_hz
        Steps a second of a paced run (``--pace``), which idles between them; None: as fast as the
        line goes.
    marker_us
        What raising and lowering the marker's pin costs of a step, and as much again of each
        layer that is marked, in microseconds: measured by the board. None without a marker.
    power
        What a recording of the power tells (`edgeflow.energy`), None without one: ``energy_uj`` of
        a step (mean, p50, p99, max, ``error_of_mean``), ``step_us``, ``active_uw``, ``idle_uw``,
        ``sleep`` and ``wakeup`` (``energy_uj``, ``us``), ``layers``, ``by`` what the ``steps`` were
        found and with which ``confidence`` (0..1), ``marker_uj``, ``estimated_uj`` (what
        `energy_uj` was before), ``curve`` and ``notes``.
    date
        When the run ended: ISO 8601, UTC. Not compared by ``==``.
    versions
        ``edgeflow``, ``python``, ``compiler`` (of the image), ``qemu``: those that are known.
    """

    edgeflow: str
    complete: bool
    board: str
    board_description: str
    core: str
    model: str
    dataset: str
    split: str
    classes: list[str]
    steps: int
    windows: int
    window: int
    rate_hz: float
    accuracy_float: float | None
    accuracy_float_windows: int | None
    accuracy_oracle: float | None
    accuracy_device: float | None
    mismatches: int
    confusion: list[list[int]]
    instructions_per_step: dict[str, Any] | None
    cycles_per_step: dict[str, Any] | None
    latency_us: dict[str, Any] | None
    energy_uj: dict[str, Any] | None
    flash_bytes: int | None
    ram_bytes: int | None
    stack_bytes: int | None
    flash: dict[str, int]
    ram: dict[str, int]
    layers: list[dict[str, Any]]
    instruction_mix: dict[str, float]
    delta: dict[str, float | None]
    distributions: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    estimate: dict[str, Any] | None = None
    warmup: dict[str, Any] | None = None
    cutoff: dict[str, Any] | None = None
    curves: dict[str, Any] | None = None
    quantizer: dict[str, Any] | None = None
    task: str = "classification"
    metrics: dict[str, Any] | None = None
    samples_per_step: int = 1
    recordings: int | None = None
    hop: int = 0
    notes: list[str] = field(default_factory=list)
    fit: list[dict[str, Any]] = field(default_factory=list)
    pace_hz: float | None = None
    marker_us: float | None = None
    power: dict[str, Any] | None = None
    line: dict[str, Any] | None = field(default=None, compare=False)
    date: str | None = field(default=None, compare=False)
    versions: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    def check(self) -> None:
        """Check outputs, samples as integers, and that all fits.

        Raises
        ------
        CheckFailed
            If any output, or quantized sample, differed from the reference's, or a row of `fit`
            fails.
        """
        if self.mismatches:
            raise CheckFailed(
                f"{self.mismatches} of {self.steps} steps on {self.board} differ from the reference"
            )
        for one in (self.quantizer, (self.quantizer or {}).get("counts")):
            if one is not None and one["mismatches"]:
                raise CheckFailed(
                    f"{one['mismatches']} of {one['samples']} samples are quantized on "
                    f"{self.board} unlike by the reference"
                )
        if self.failures:
            raise CheckFailed("; ".join(self.failures))

    @property
    def failures(self) -> list[str]:
        """What does not fit, beyond the error of an estimate; not what `any_part` allowed."""
        return [misfit(row) for row in self.fit if row["fails"]]

    def cost(self, optimize: str | None = None) -> dict[str, Any]:
        """Return the costs of the program, as records have them; `optimize` is the compiler's goal.

        It is "board", "core", "optimize", "split", "steps", "instructions" (per step: "mean",
        "p50", "p99", "max"), "energy_uj" (per step: "mean", "kind", "model", "error_percent"; None
        without an energy model), "flash_bytes", "ram_bytes" (with the most stack used),
        "weight_bytes" (constants of the model in the image).
        """
        return {
            "board": self.board,
            "core": self.core,
            "optimize": optimize,
            "split": self.split,
            "steps": self.steps,
            "instructions": self.instructions_per_step,
            "energy_uj": self.energy_uj,
            "flash_bytes": self.flash_bytes,
            "ram_bytes": self.ram_bytes,
            "weight_bytes": self.flash["weights"],
        }

    def save(self, path: str | Path) -> None:
        """Write ``profile.json``."""
        write_atomic(path, sealed_json(self.to_json(), 2))

    @staticmethod
    def load(path: str | Path) -> "ProfileResult":
        """Read ``profile.json``.

        Raises
        ------
        EdgeFlowError
            If it is missing or was not written by this version's format.
        """
        try:
            content = read_json(path)
            result = ProfileResult(**content)
            check_values(content)
            run = result.to_json()
            check_scores(run, task_of_run(run), headline_of_run(run))
            return result
        except OSError as error:
            raise EdgeFlowError(
                f"{path}: cannot be read ({error.strerror}): make it with 'edgeflow profile'"
            ) from None
        except ChangedError as error:
            raise EdgeFlowError(f"{path}: {error}: profile again") from None
        except (ValueError, TypeError, ProgramError) as error:
            raise EdgeFlowError(f"{path}: not a profile ({error}): profile again") from None

"""What the values of ``profile.json`` must be, for a file that somebody else may have written."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from edgeflow.compression.stored import Count, Number, Part
from edgeflow.profiling.curves import check_curves
from edgeflow.tasks import Task

Share = Annotated[float, Field(ge=0, le=1)]
Counts = dict[str, Count]


class _Quantity(Part):
    mean: Number
    p50: Number | None = None
    p99: Number | None = None
    max: Number | None = None
    kind: str = ""
    model: str | None = None
    error_percent: Number | None = None
    rtl: str | None = None


class _Summary(_Quantity):
    p50: Number
    p99: Number
    max: Number


class _Layer(Part):
    name: str
    type: str | None = None
    inputs: Count | None = None
    outputs: Count | None = None
    bytes: Count | None = None
    instructions_mean: Number | None
    cycles_mean: Number | None = None
    energy_uj: Number | None = None


class _Delta(Part):
    input_sparsity: Share | None
    state_sparsity: Share | None


class _Histogram(Part):
    edges: Annotated[list[Number], Field(min_length=2, max_length=10_000)]
    counts: Annotated[list[Number], Field(min_length=1, max_length=10_000)]


class _Validation(Part):
    workload: str
    estimated: Number


class _Estimate(Part):
    description: str
    clock_hz: Annotated[Number, Field(gt=0)]
    cycle_model: str
    cycle_error_percent: Number | None = None
    pj_per_cycle: Number | None = None
    energy_error_percent: Number | None = None
    sources: list[str]
    limits: str
    validation: list[_Validation] = Field(default_factory=list)


class _Warmup(Part):
    samples: Annotated[int, Field(ge=1)]


class _Cutoff(Part):
    samples_read: _Summary
    steps_skipped: Share
    instructions_per_skipped_step: Number | None


class _Samples(Part):
    instructions_mean: Number | None
    cycles_mean: Number | None = None
    samples: Count
    mismatches: Count


class _Quantizer(_Samples):
    counts: _Samples | None = None


class _Metrics(Part):
    overall: dict[str, Any]
    subjects: dict[str, dict[str, Any]]


class _Fit(Part):
    what: str
    of: str
    used: Number
    room: Annotated[Number, Field(gt=0)]
    unit: str = "bytes"
    fits: bool
    fails: bool = False


class _Curve(Part):
    name: str
    unit: str
    board: list[Number | None]
    recorded: list[Number | None]


class _Curves(Part):
    of: Literal["steps", "windows"]
    outputs: list[_Curve]


class _Spell(Part):
    energy_uj: Number
    us: Number


class _LayerEnergy(Part):
    name: str
    energy_uj: Number


class _PowerCurve(Part):
    begin_s: Number
    step_s: Annotated[Number, Field(gt=0)]
    power_mw: Annotated[list[Number], Field(min_length=1, max_length=10_000)]
    steps: Annotated[list[list[Number]], Field(max_length=1_000)]


class _Power(Part):
    recording: str
    by: str
    confidence: Share
    steps: Count
    steps_profiled: Count
    energy_uj: _Summary
    step_us: Number
    active_uw: Number
    marker_uj: Number
    layers: list[_LayerEnergy] | None
    idle_uw: Number
    sleep: _Spell
    wakeup: _Spell
    estimated_uj: _Quantity | None
    curve: _PowerCurve
    notes: list[str]


class _Line(Part):
    round_trip_ms: _Quantity | None = None
    requests: Count | None = None
    retries: Count | None = None
    damaged: Count | None = None
    board_errors: Count | None = None
    resets: Count | None = None


#: By field.
_KINDS: dict[str, Any] = {
    **dict.fromkeys(
        ("edgeflow", "board", "board_description", "core", "model", "dataset", "split", "task"), str
    ),
    **dict.fromkeys(("steps", "windows", "window", "hop", "mismatches"), Count),
    **dict.fromkeys(
        ("accuracy_float_windows", "flash_bytes", "ram_bytes", "stack_bytes", "recordings"),
        Count | None,
    ),
    **dict.fromkeys(("accuracy_float", "accuracy_oracle", "accuracy_device"), Share | None),
    **dict.fromkeys(("instructions_per_step", "cycles_per_step", "latency_us"), _Summary | None),
    "energy_uj": _Quantity | None,
    "complete": bool,
    "classes": list[str],
    "rate_hz": Annotated[Number, Field(ge=0)],
    "confusion": list[list[Count]],
    "flash": Counts,
    "ram": Counts,
    "layers": list[_Layer],
    "instruction_mix": dict[str, Number],
    "delta": _Delta,
    "distributions": dict[str, _Histogram],
    "estimate": _Estimate | None,
    "warmup": _Warmup | None,
    "cutoff": _Cutoff | None,
    "curves": _Curves | None,
    "quantizer": _Quantizer | None,
    "fit": list[_Fit],
    "line": _Line | None,
    **dict.fromkeys(("pace_hz", "marker_us"), Number | None),
    "power": _Power | None,
    "metrics": _Metrics | None,
    "samples_per_step": Annotated[int, Field(ge=1, le=2**53)],
    "notes": list[str],
    "date": str | None,
    "versions": dict[str, str | None] | None,
}


def check_values(content: Mapping[str, Any]) -> None:
    """Check the values of the fields that are there.

    Raises
    ------
    ValueError
        Naming the first of another type, or that does not go with another.
    """
    for name, kind in _KINDS.items():
        if name not in content:
            continue
        try:
            TypeAdapter(kind, config=None).validate_python(content[name], strict=True)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            where = ".".join(map(str, (name, *problem["loc"])))
            raise ValueError(f"{where}: {problem['msg'][:1].lower()}{problem['msg'][1:]}") from None
    _check_texts(content)
    _check_date(content.get("date"))
    size = len(content.get("classes", ()))
    matrix = content.get("confusion", ())
    if matrix and (len(matrix) != size or any(len(row) != size for row in matrix)):
        raise ValueError(f"confusion: must be {size} rows of {size} counts")
    for name, found in content.get("distributions", {}).items():
        edges, counts = found["edges"], found["counts"]
        if len(edges) != len(counts) + 1:
            raise ValueError(f"distributions.{name}: needs one more edge than counts")
        if not isinstance(content.get(name), Mapping):
            raise ValueError(f"distributions.{name}: there is no such quantity")
    if content.get("curves") is not None:
        check_curves(content["curves"])
    if "weights" not in content.get("flash", {"weights": 0}):
        raise ValueError("flash.weights: missing")


def check_scores(content: Mapping[str, Any], task: Task, headline: Any) -> None:
    """Check that the scores are those of the task.

    Parameters
    ----------
    headline : mapping
        The headline by "float", "oracle" and "device".

    Raises
    ------
    ValueError
        Naming the first that is missing or no number.
    """
    if not task.metrics:
        return
    for kind in ("float", "oracle", "device"):
        _number(f"headline.{kind}", headline, kind, kind == "float")
    name = task.headline.name
    warmup = content.get("warmup")
    if warmup is not None:
        _lists("warmup", warmup, (name, f"{name}_float"))
        if warmup["samples"] > len(warmup[name]):
            raise ValueError(f"warmup.samples: more than the {len(warmup[name])} known")
    metrics = content.get("metrics")
    if metrics is None:
        return
    for metric in (*task.metrics, *task.more_metrics):
        _number("metrics.overall", metrics["overall"], metric.name, False)
    for subject, scores in metrics["subjects"].items():
        _number(f"metrics.subjects.{subject}", scores, "windows", False)
        for metric in task.metrics:
            _number(f"metrics.subjects.{subject}", scores, metric.name, False)
    if task.name == "classification":
        recall = metrics["overall"].get("recall")
        if not isinstance(recall, Mapping) or len(recall) != len(content["confusion"]):
            raise ValueError("metrics.overall.recall: must have one share for each class")
        for known in recall:
            _number("metrics.overall.recall", recall, known, True)


def _number(where: str, values: Any, name: str, optional: bool) -> None:
    value: Any = values.get(name) if isinstance(values, Mapping) else None
    if value is None and optional:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not abs(value) <= 1e18:
        raise ValueError(f"{where}.{name}: must be a number")


def _lists(where: str, values: Mapping[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        found = values.get(name)
        if not isinstance(found, list):
            raise ValueError(f"{where}.{name}: must be a list")
        for i in range(len(found)):
            _number(f"{where}.{name}", dict(enumerate(found)), i, False)  # type: ignore[arg-type]


def _check_texts(value: Any) -> None:
    """Refuse texts that no file can hold: half of a pair, from JSON's escapes."""
    waiting = [value]
    while waiting:
        here = waiting.pop()
        if isinstance(here, Mapping):
            waiting += [*here, *here.values()]
        elif isinstance(here, list):
            waiting += here
        elif isinstance(here, str):
            here.encode()


def _check_date(date: str | None) -> None:
    if date:
        datetime.fromisoformat(date)

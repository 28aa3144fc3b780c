"""Programs as apps of watches: the generated C, a resampler, and what each watch's tools build.

Every app has ``NAME_stream.c``: it takes samples of the watch's sensors with their times, makes of
them samples at the model's rate, runs the model, and tells when a window is decided.
``docs/watches.md`` says what each watch offers, and where that is from.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from edgeflow.errors import ExportError
from edgeflow.exporting import Options, android, banglejs
from edgeflow.exporting.library import Layout, write_package
from edgeflow.exporting.sensors import SENSORS, Axis, channel_axes
from edgeflow.exporting.template import class_name
from edgeflow.program import Program

#: Clock cycles per multiply-accumulate of a microcontroller's kernels: of a GRU of 32 units, by the
#: cycle model of a Cortex-M4 from measured instruction counts (docs/watches.md).
_CYCLES = {"c": 9.8, "cortex-m4": 3.4}
#: Assumed of an nRF52 that runs from flash with its DC/DC converter: an order of magnitude.
_NRF52 = 55.0


@dataclass(frozen=True)
class Watch:
    """What a watch gives its apps.

    Attributes
    ----------
    title : str
        As its users call it.
    sensors : tuple of str
        Keys of `edgeflow.exporting.sensors.SENSORS`.
    per_g : float
        The accelerometer's value of one g.
    signs : tuple of int
        Of the accelerometer's x, y and z beside those of `edgeflow.exporting.sensors`.
    unit : str
        Of the accelerometer, for people.
    rates : tuple of float
        Samples per second that apps can ask for.
    sources : str
        Folder of the C files in the package; ``{name}`` stands for the library's name,
        ``{CLASS}`` for that of its class.
    core : str
        Whose kernels the package has.
    battery : str
        What sampling costs, as far as known.
    ua_per_mhz : float
        Current of the processor while it computes, in microamperes per MHz; 0: not known.
    any_rate : bool
        Apps can ask for any rate up to the last of `rates`.
    """

    title: str
    sensors: tuple[str, ...]
    per_g: float
    signs: tuple[int, int, int]
    unit: str
    rates: tuple[float, ...]
    sources: str
    core: str
    battery: str
    ua_per_mhz: float = 0.0
    any_rate: bool = False

    def scale(self, axis: Axis) -> float:
        """Return g, or radians per second, of one unit of the watch's value along an axis."""
        if axis.sensor == "gyr":
            return 1.0
        return self.signs["xyz".index(axis.axis)] / self.per_g

    def rate(self, rate_hz: float) -> float:
        """Return the lowest rate that is not below `rate_hz`, else the highest."""
        if self.any_rate:
            return min(rate_hz, *self.rates)
        enough = [rate for rate in self.rates if rate >= rate_hz]
        return min(enough) if enough else max(self.rates)


#: By the format's name.
WATCHES: Mapping[str, Watch] = {
    "pebble": Watch(
        title="Pebble",
        sensors=("acc",),
        per_g=1000.0,
        signs=(-1, -1, -1),
        unit="thousandths of a g (int16)",
        rates=(10.0, 25.0, 50.0, 100.0),
        sources="src/c",
        core="c",
        battery="Pebble's makers advise to sample as little as possible, as the processor wakes "
        "for each batch; the app takes up to 25 samples at once.",
    ),
    "infinitime": Watch(
        title="PineTime with InfiniTime",
        sensors=("acc",),
        per_g=1024.0,
        signs=(-1, -1, -1),
        unit="1/1024 g (int16)",
        rates=(10.0,),
        sources="src/components/{name}",
        core="cortex-m4",
        battery="The firmware reads the sensor ten times a second in any case; the app keeps the "
        "processor and the screen awake while it is open, which costs most.",
        ua_per_mhz=_NRF52,
    ),
    "banglejs": Watch(
        title="Bangle.js 2",
        sensors=("acc",),
        per_g=1.0,
        # all three differ: its x has the other sign than its y and z
        signs=(1, -1, -1),
        unit="g",
        rates=(12.5, 25.0, 50.0, 100.0),
        sources="src",
        core="cortex-m4",
        battery="The firmware polls the sensor 12.5 times a second unless it is asked for more; "
        "the app asks for what the model needs, and turns the power saving at rest off.",
        ua_per_mhz=_NRF52,
    ),
    "wearos": Watch(
        title="Wear OS",
        sensors=("acc", "gyr"),
        per_g=9.80665,
        signs=(1, 1, 1),
        unit="m/s², the gyroscope in rad/s",
        rates=(200.0,),
        any_rate=True,
        sources="app/src/main/cpp",
        core="c",
        battery="The app keeps the screen on, which costs most; a service of yours that asks for "
        "batches (maxReportLatencyUs) costs less.",
    ),
    "apple": Watch(
        title="Apple Watch",
        sensors=("acc", "gyr"),
        per_g=1.0,
        signs=(-1, -1, -1),
        unit="g, the gyroscope in rad/s",
        rates=(100.0,),
        any_rate=True,
        sources="Sources/C{CLASS}Kit",
        core="c",
        battery="watchOS suspends apps that are not in front, unless they run a workout session, "
        "which costs more.",
    ),
}
#: Rates that differ by less than this share need no note.
_SAME = 0.001


def notes(program: Program, options: Options) -> list[str]:
    """Return what a user should know of the watch and this program, a line each."""
    watch = WATCHES[options.to]
    offered = watch.rate(program.rate_hz)
    if offered < program.rate_hz * (1 - _SAME):
        return [
            f"{watch.title} gives {offered:g} samples per second, the model was trained on "
            f"{program.rate_hz:g}: what is faster than {offered / 2:g} Hz is lost; check the "
            f"accuracy of a model trained with --resample {offered:g}"
        ]
    return []


def write(program: Program, out: Path, options: Options) -> list[Path]:
    """Write the app.

    Parameters
    ----------
    program : Program
        Its sampling rate must be known.
    out : Path
        Folder: new, empty, or that of an earlier export, which is replaced.
    options : Options
        Of these `name`, `optimize` and `axes`.

    Returns
    -------
    list of Path

    Raises
    ------
    ExportError
        If the rate, an axis or a unit is not known, or the watch has no such sensor.
    ToolMissingError
        If the format takes a compiler that is not installed.
    OutputError
        If something else is in the folder, or another process writes it.
    """
    watch = WATCHES[options.to]
    axes = channel_axes(program, watch.title, watch.sensors, options.axes)
    context = _context(program, watch, axes, options)
    build: Callable[[Mapping[str, str]], Mapping[str, str | bytes]] | None = None
    if options.to == "banglejs":
        banglejs.check_app_name(options.name)
        build = partial(banglejs.build_app, options.name, watch.core)
        context |= {"icon": banglejs.icon(), "blob_bytes": banglejs.BYTES}
    elif options.to == "wearos":
        context |= {"prebuilt": android.can_build()}
        if android.can_build():
            build = partial(
                android.build_libraries, options.name, watch.sources, "app/src/main/jniLibs"
            )
    sources = watch.sources.format(name=options.name, CLASS=class_name(options.name))
    layout = Layout(
        folders=("watch", options.to),
        sources=sources,
        firmware=False,
        context=context,
        build=build,
    )
    return write_package(program, out, replace(options, core=watch.core), layout)


def _context(program: Program, watch: Watch, axes: list[Axis], options: Options) -> dict[str, Any]:
    rate = program.rate_hz
    if not rate:
        raise ExportError(
            f"{watch.title}: the program does not know its sampling rate: train or compress it on "
            "data that have one (--rate)"
        )
    if not 0.1 <= rate <= 1000:
        raise ExportError(f"{watch.title}: {rate:g} samples per second are not within 0.1..1000")
    millihertz = round(rate * 1000)
    # of application processors nothing is estimated
    cycles = 0.0 if watch.any_rate else _CYCLES[watch.core]
    return {
        "watch": watch,
        "title": plain_title(options.name),
        "offered": watch.rate(rate),
        "sensors": [SENSORS[name] for name in watch.sensors],
        "axes": axes,
        "factors": [axis.factor * watch.scale(axis) for axis in axes],
        "millihertz": millihertz,
        "period_us": 10**9 // millihertz,
        "period_rest": 10**9 % millihertz,
        "cycles_per_mac": cycles,
        "megahertz": program.macs * rate * cycles / 1e6,
        "uuid": uuid.uuid5(uuid.NAMESPACE_URL, f"edgeflow:{options.name}"),
        "notes": notes(program, options),
    }


def plain_title(name: str) -> str:
    """Return a library's name for people: "Gait model" of "gait_model"."""
    return name.replace("_", " ").capitalize()

"""Compile, run and export programs; the boards for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edgeflow import arguments
from edgeflow.errors import ExportError, TargetError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import ArrayLike

    from edgeflow.arguments import Data
    from edgeflow.codegen.build import Build
    from edgeflow.codegen.mlperf import Mlperf
    from edgeflow.data import Windows
    from edgeflow.device.probes import Probe
    from edgeflow.profiling.result import ProfileResult
    from edgeflow.profiling.run import Progress
    from edgeflow.program import Program
    from edgeflow.progress import StageProgress
    from edgeflow.targets.board import BoardSpec
    from edgeflow.targets.boards import BoardList


def compile(
    program: Program | str | Path,
    board: BoardSpec | str | Path = "qemu-m4",
    directory: str | Path = "build",
    *,
    backend: str = "auto",
    optimize: str = "balanced",
    kernel_sets: Sequence[str] | None = None,
    kernels: Mapping[str, str] | None = None,
    tvm_layers: Collection[str] | None = None,
    weights_in: str | None = None,
    kernels_in: str | None = None,
    any_part: bool = False,
    name: str | None = None,
    mlperf: str | None = None,
    mlperf_mode: str | None = None,
    baud: int | None = None,
    counts: Mapping[str, float] | None = None,
    trust_board: bool = False,
    progress: StageProgress | None = None,
) -> Build:
    """Generate the C library of a program and link a board's firmware image around it.

    Parameters
    ----------
    program : Program, str or path
    board : BoardSpec, str or path
        One of `boards`, its name, or a .toml file.
    directory : path
        Build folder; files of an older build in it are replaced.
    backend : str
        Generator of the code: "auto", "c" or "tvm".
    optimize : str
        Goal of the choice of kernels: "speed", "cycles", "balanced" or "size".
    kernel_sets : sequence of str, optional
        Instead of a choice by cost: the first that fits, for example ``["c"]`` for plain C.
    kernels : mapping, optional
        Names of the kernels of single matrices, by layer and field: ``gru.input``.
    tvm_layers : collection of str, optional
        Layers whose step TVM writes; default: as the backend chooses.
    weights_in, kernels_in : str, optional
        Memory of the board that weights, or the code of a step, are copied to at start.
    any_part : bool
        True: what the part that figures are estimated for has no memory or time for is an
        `EdgeFlowWarning` rather than an error, since an emulated board may have more.
    name : str, optional
        Of the library: ``NAME.c``, ``NAME.h``, and all its global names begin with it. Default:
        ``model.c`` and ``model.h``, for a firmware with no other library of EdgeFlow.
    mlperf : str, optional
        A model's name in the MLPerf Tiny benchmark, such as "kws01": the firmware also speaks the
        benchmark's serial protocol, as that model. The program must have classes.
    mlperf_mode : str, optional
        "performance", the default, or "energy": edges of a pin of the board mark the time.
    baud : int, optional
        Of the serial port; default: the board's, in the energy mode 9600.
    counts : mapping, optional
        Counts of one unit of the sensors, by the unit of the channels, like ``{"g": 8192}``: the
        library then has ``model_quantize_counts``, which turns a sensor's int16 counts into what a
        step reads without a float. Default: those of the board file, if it has them.
    trust_board : bool
        Whether a .toml file may name any program, flag and file (``SECURITY.md``).
    progress : callable, optional
        Called with the stage, the number of its parts done, and of all.

    Returns
    -------
    Build
        `Build.size` has its bytes; `Build.predict` runs it.

    Raises
    ------
    ProgramError, ToolMissingError
        If the program cannot be read, or the board's compiler is not installed.
    TargetError
        If the board, or the part that figures are estimated for, has too little memory (a
        `NoRoomError`) or, at the program's rate of samples, too little time.
    ExportError
        If the name cannot be one.
    OutputError
        If the folder holds what EdgeFlow did not make, the program or the board's file, or another
        process writes it.

    Examples
    --------
    >>> import numpy as np, torch, edgeflow as ef
    >>> x = np.random.default_rng(0).standard_normal((20, 50, 3))
    >>> program = ef.compress(torch.nn.GRU(3, 4, batch_first=True), x)
    >>> build = ef.compile(program, "host", "build-host")
    >>> build
    Build(host, program ..., 'build-host')
    >>> bool((build.predict(x) == program.predict(x)).all())
    True
    """
    from edgeflow.codegen.build import FOLDER, compile_program
    from edgeflow.codegen.mlperf import ENERGY_BAUD, Mlperf
    from edgeflow.progress import silent

    texts = {"weights_in": weights_in, "kernels_in": kernels_in}
    texts |= {"mlperf": mlperf, "mlperf_mode": mlperf_mode}
    arguments.check_texts(TargetError, backend=backend, optimize=optimize, name=name, **texts)
    arguments.check_lists(TargetError, kernel_sets=kernel_sets, kernels=kernels)
    arguments.check_lists(TargetError, tvm_layers=tvm_layers)
    arguments.check_calls(TargetError, progress=progress)
    arguments.check_flags(TargetError, any_part=any_part, trust_board=trust_board)
    directory = arguments.as_path("directory", directory, TargetError)
    benchmark = Mlperf.of(mlperf, mlperf_mode)
    if baud is not None:
        baud = arguments.as_whole("baud", baud)
    loaded, spec = arguments.as_program(program), arguments.as_board(board, trusted=trust_board)
    if benchmark is not None:
        benchmark.check(loaded, spec)
        if benchmark.mode == "energy" and baud is None:
            baud = ENERGY_BAUD
    with arguments.files_named(TargetError):
        FOLDER.check(directory, {"the program": program, "the board": board})
        compiled = partial(
            compile_program,
            loaded,
            spec.placed(weights=weights_in, kernels=kernels_in).at_baud(baud),
            directory,
            backend=backend,
            optimize=optimize,
            kernel_sets=kernel_sets,
            kernels=kernels,
            tvm_layers=tvm_layers,
            any_part=any_part,
            name=name,
            counts=arguments.as_counts(counts),
            progress=progress or silent,
        )
        build = compiled(mlperf=benchmark)
        if benchmark is not None and spec.emulated:
            build = compiled(mlperf=_with_time(benchmark, build, spec))
    arguments.warn_of(build.notes)
    return build


def _with_time(benchmark: Mlperf, build: Build, spec: BoardSpec) -> Mlperf:
    """Return the benchmark with the time that an emulated board does not have itself."""
    from edgeflow.profiling.one_window import cycles_on_noise

    cycles = cycles_on_noise(build, spec)
    known = None if cycles is None else max(1, round(cycles))
    return benchmark.model_copy(update={"step_cycles": known})


def profile(
    build: Build | str | Path,
    data: Data | Windows | tuple[ArrayLike, ArrayLike | Sequence[str]],
    *,
    split: str = "test",
    steps: int | None = None,
    board: BoardSpec | str | None = None,
    port: str | None = None,
    runner: str | None = None,
    no_flash: bool = False,
    float_accuracy: float | None = None,
    out: str | Path | None = None,
    trust_board: bool = False,
    pace_hz: float | None = None,
    probe: Probe | None = None,
    progress: Progress | None = None,
) -> ProfileResult:
    """Run a build on its board and compare every output with the program's.

    Parameters
    ----------
    build : Build, str or path
        A build, or its folder; or the folder of an export, whose firmware other tools have built
        and written to the board at `port`.
    data : Dataset, str, path, Windows or (x, y)
        A data set, or its name or path; or windows x [n, time, channels] of raw samples with
        their labels y [n], names of the program's classes or their numbers.
    split : str
        Of a data set: the windows that are streamed, each from a reset.
    steps : int, optional
        At most this many steps, rounded to whole windows (at least one), taken evenly from the
        whole split; None: all.
    board : BoardSpec or str, optional
        Instead of the one that the build was made for; of the same core.
    port : str, optional
        Serial port of a board; without it a real board is looked for by its USB ids, and an
        emulated one is started.
    runner : str, optional
        Flash tool that first writes the image to the board. Default: of a real board the first of
        its file that is installed, if the board does not run the image yet; else the image must be
        there, which the handshake checks.
    no_flash : bool
        Never write to a board behind a port.
    float_accuracy : float, optional
        Accuracy of the model before compression, 0..1; default: what the program stored.
    out : path, optional
        Folder for ``profile.json``: the build's, which is the default, or one that is new, empty or
        of an earlier profile.
    trust_board : bool
        Whether a .toml file may name any program, flag and file (``SECURITY.md``).
    pace_hz : float, optional
        Steps are sent one by one, so many a second, and the board idles in between.
    probe : Probe, optional
        Power probe that records the run, such as ``find_probe("ppk2")`` of
        `edgeflow.device.probes`, already open.
    progress : callable, optional
        Called with the steps that are done and all.

    Returns
    -------
    ProfileResult
        Also written to ``profile.json``. After an interrupt or an error of the board it has what
        was collected until then and ``"complete": false``, and the exception is raised; where a
        complete ``profile.json`` is, that stays, and this is ``profile.partial.json``.

    Raises
    ------
    DataError
        If the data do not fit the program.
    DeviceError
        If the board cannot be reached or goes away.
    TargetError, ToolMissingError
        If the build, the board or a tool is not usable.
    OutputError
        If the folder holds what EdgeFlow did not make, or the data, or another process writes it.

    Examples
    --------
    >>> import numpy as np, torch, edgeflow as ef
    >>> x = np.random.default_rng(0).standard_normal((20, 50, 3))
    >>> net = torch.nn.GRU(3, 2, batch_first=True)
    >>> program = ef.compress(net, x, classes=["still", "moving"], window=50)
    >>> result = ef.profile(ef.compile(program, "host", "build-profile"), (x, ["still"] * 20))
    >>> result.steps, result.mismatches
    (1000, 0)
    """
    from edgeflow.codegen.build import Build
    from edgeflow.codegen.package import load_made
    from edgeflow.data import Windows
    from edgeflow.profiling.run import check_profile
    from edgeflow.profiling.run import profile as run

    if not isinstance(build, Build | str | Path):
        raise TargetError(f"a build is a Build or its folder, not {type(build).__name__}")
    arguments.check_texts(TargetError, split=split, port=port, runner=runner)
    arguments.check_calls(TargetError, progress=progress)
    steps = None if steps is None else arguments.as_whole("steps", steps)
    if float_accuracy is not None:
        float_accuracy = arguments.as_number("float_accuracy", float_accuracy)
    if pace_hz is not None:
        pace_hz = arguments.as_number("pace_hz", pace_hz)
        if pace_hz <= 0:
            raise TargetError(f"pace_hz: more than 0 steps a second, not {pace_hz:g}")
    if probe is not None:
        from edgeflow.device.probes import Probe as AnyProbe

        if not isinstance(probe, AnyProbe):
            raise TargetError(
                f"a probe is one of edgeflow.device.probes, not {type(probe).__name__}"
            )
    out = None if out is None else arguments.as_path("out", out, TargetError)
    arguments.check_flags(TargetError, trust_board=trust_board, no_flash=no_flash)
    loaded = load_made(build) if isinstance(build, str | Path) else build
    board = (
        loaded.spec(trust_board=trust_board)
        if board is None
        else arguments.as_board(board, trusted=trust_board)
    )
    with arguments.files_named(TargetError):
        check_profile(loaded.directory if out is None else out, {"the data": data})
    dataset = (
        arguments.as_labelled(data, loaded.program(), split)
        if isinstance(data, Windows | tuple | list)
        else arguments.as_dataset(data)
    )
    with arguments.files_named(TargetError):
        result = run(
            loaded,
            dataset,
            split=split, steps=steps, board=board, port=port, runner=runner, no_flash=no_flash,
            float_accuracy=float_accuracy, out=out, pace_hz=pace_hz, probe=probe, progress=progress,
        )  # fmt: skip
    arguments.warn_of(result.notes)
    return result


def export(
    program: Program | str | Path | Mapping[str, Program | str | Path] | Sequence[str | Path],
    to: str,
    out: str | Path | None = None,
    *,
    name: str | None = None,
    core: str | None = None,
    optimize: str | None = None,
    backend: str | None = None,
    data: Data | None = None,
    activations: str | None = None,
    inline: bool | None = None,
    raw: bool | None = None,
    axes: str | Mapping[str, str] | None = None,
) -> list[Path]:
    """Write a program in another form. Options are for some forms only, and refused by others.

    Parameters
    ----------
    program : Program, str, path, mapping or sequence
        Several become one library, in which they share kernels and tables: programs by their
        names, with which their functions, types and macros begin, or files, whose names they get.
    to : str
        "cmake", "arduino", "platformio", "zephyr", "esp-idf", "web", "onnx", "onnx-scan", "tflite",
        "pebble", "infinitime", "banglejs", "wearos" or "apple".
    out : path, optional
        File or folder; default: the format's, in the current folder.
    name : str, optional
        Of a library; its functions and macros begin with it, of several programs those of the
        kernels. Of the web package: as npm takes it.
    core : str, optional
        A core whose kernels a library has; default "c": C that runs anywhere.
    optimize, backend : str, optional
        Of a library, as for `compile`; of the web package, `optimize` alone.
    data : Dataset, str or path, optional
        Real recordings, for what an export shows or measures on them.
    activations : str, optional
        Of a .tflite file: "int16" or "int8".
    inline : bool, optional
        ONNX: standard operators only, no local functions.
    raw : bool, optional
        ONNX: reads raw samples, and gives scores and the class.
    axes : str or mapping, optional
        Of a watch's app: which axes channels are, where their names or units do not say it:
        ``{"ax": "acc_x:g", "ay": "-acc_y:g"}``.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    ExportError
        If there is no such format, it does not have an option, or cannot express the program.
    OutputError
        If the output is an input, or holds what EdgeFlow did not make.
    ProgramError, DataError, ToolMissingError
        If the program or data cannot be read, or a Python package is not installed.

    Examples
    --------
    >>> import numpy as np, torch, edgeflow as ef
    >>> x = np.random.default_rng(0).standard_normal((20, 50, 3))
    >>> program = ef.compress(torch.nn.GRU(3, 4, batch_first=True), x)
    >>> files = ef.export(program, "cmake", "gait-cmake", name="gait")
    >>> sorted(file.name for file in files if "CMake" in file.name)
    ['CMakeLists.txt']
    """
    from edgeflow.exporting import check_export
    from edgeflow.exporting import export as write

    texts = {"name": name, "core": core, "optimize": optimize, "backend": backend}
    arguments.check_texts(ExportError, to=to, activations=activations, **texts)
    arguments.check_flags(ExportError, inline=inline, raw=raw)
    out = None if out is None else arguments.as_path("out", out, ExportError)
    asked = {
        "name": name, "core": core, "optimize": optimize, "backend": backend,
        "data": None if data is None else arguments.as_dataset(data),
        "activations": activations, "inline": inline, "raw": raw, "axes": axes,
    }  # fmt: skip
    given = {option: value for option, value in asked.items() if value is not None}
    with arguments.files_named(ExportError):
        check_export(to, out, name, {"the program": _all(program), "the data": data})
        return write(arguments.as_programs(program), to, out, **given)


def _all(program: object) -> object:
    """Return what several programs, by name, are read from."""
    return list(program.values()) if isinstance(program, Mapping) else program


def boards() -> BoardList:
    """Return the boards that EdgeFlow ships, by core from small to large.

    Examples
    --------
    >>> import edgeflow as ef
    >>> ef.boards().names
    ['sim-atmega328p', 'sim-atmega2560', 'qemu-m0', 'rpi-pico', 'qemu-m3', ...]
    >>> ef.boards()[2].core.name
    'cortex-m0'
    """
    from edgeflow.targets.board import list_boards
    from edgeflow.targets.boards import BoardList

    return BoardList(list_boards())

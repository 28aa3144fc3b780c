"""The pipeline in Python: what ``import edgeflow as ef`` offers, typed.

Each function does what the command of the same name does. Imports are inside the functions, so
that importing this module takes no time.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from edgeflow import arguments
from edgeflow.errors import CompressError, ExportError, ProgramError, TargetError, TrainError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import ArrayLike

    from edgeflow.arguments import Data, Model
    from edgeflow.codegen.build import Build
    from edgeflow.data import Windows
    from edgeflow.profiling.result import ProfileResult
    from edgeflow.profiling.run import Progress
    from edgeflow.program import Program
    from edgeflow.progress import StageProgress
    from edgeflow.quantization import Widths
    from edgeflow.recipes.recipe import Recipe
    from edgeflow.targets.board import BoardSpec
    from edgeflow.targets.boards import BoardList
    from edgeflow.training.fit import OnEpoch
    from edgeflow.training.loop import TrainResult
    from edgeflow.training.method import Method
    from edgeflow.training.options import TrainKeywords


@arguments.random_kept()
def compress(
    model: Model,
    calibration: Data | Windows | ArrayLike,
    *,
    recipe: Recipe | Mapping[str, Any] | str | Path | None = None,
    checkpoint: str | Path | None = None,
    untrained: bool = False,
    nir_reset: str | None = None,
    nir_dt: float | None = None,
    out: str | Path | None = None,
    channels: Sequence[str] | None = None,
    classes: Sequence[object] | None = None,
    window: int = 0,
    rate_hz: float = 0.0,
    widths: Widths | None = None,
    board: str | None = None,
    split: str = "test",
    restart: bool = False,
    on_epoch: OnEpoch | None = None,
    progress: StageProgress | None = None,
) -> Program:
    """Turn a trained model into an integer program.

    Parameters
    ----------
    model : nn.Module, TrainResult, str or path
        A module made of layers of ``edgeflow.cells`` (nn.GRU, nn.LSTM, nn.Linear, ...) called in
        sequence, float32 on the CPU, which is left as it came; a result or folder of `train`;
        ``mymodel.py:Net``; or an .onnx, .pt2 or .nir file.
    calibration : Dataset, str, path, Windows or array [n, time, channels]
        A data set, or its name or path: its training subjects' windows set the scales, its test
        subjects score the program, and a recipe may fine-tune on it, all as ``edgeflow compress
        MODEL --data D`` does. Or raw samples alone, of training subjects: lists, float64 and
        tensors will do. Either way 512 windows, evenly spread, are looked at.
    recipe : Recipe, mapping, str or path, optional
        All steps: a recipe; the tables of one, ``{"train": {"epochs": 5}}``; the name of one that
        comes with EdgeFlow, such as ``"small"``; or a .toml file. Without: int8 weights.
    checkpoint : path, optional
        Weights of ``mymodel.py:Net``, saved by ``torch.save(net.state_dict(), ...)`` or as
        ``.safetensors``.
    untrained : bool
        Take ``mymodel.py:Net`` without a checkpoint though its weights are random.
    nir_reset, nir_dt : str and float, optional
        What a .nir file does not hold: how a spike resets its neuron, "subtract", "zero",
        "refractory" or "nir", and the seconds per step. Default: its metadata's, else a guess
        that is noted.
    out : path, optional
        File for the program. With a data set its record and the folder of its fine-tuning, which
        goes on from there if it was interrupted, stand beside it.
    channels, classes : sequence of str, optional
        Names of inputs and outputs; without classes the program gives values. A data set or a
        trained folder brings its own, and window and rate.
    window : int
        Samples per decision; 0 for a decision at every sample.
    rate_hz : float
        Samples per second; 0 if unknown.
    widths : Widths, optional
        Bits instead of the recipe's, for arrays.
    board : str, optional
        Board whose blocks are pruned, if the recipe names none; default: "qemu-m4".
    split : str
        Of a data set: whose windows are scored.
    restart : bool
        Begin the fine-tuning anew.
    on_epoch : callable, optional
        Called after each epoch of fine-tuning with its number, the number of epochs, and its row.
    progress : callable, optional
        With a data set: called with the stage, the number of its parts done, and of all.

    Returns
    -------
    Program
        With a data set, `Program.metadata` holds the scores. What was guessed on the way, or is
        lost in the integers, is in its "notes" and an `EdgeFlowWarning` each.

    Raises
    ------
    CompressError, ProgramError, DataError, TrainError, TargetError
        If an argument cannot be used, the model is not supported, or it cannot be proven free of
        overflow.

    Examples
    --------
    A module and windows of raw samples:

    >>> import numpy as np, torch, edgeflow as ef
    >>> net = torch.nn.GRU(3, 4, batch_first=True)
    >>> x = np.random.default_rng(0).standard_normal((20, 50, 3))
    >>> program = ef.compress(net, x, classes=["sit", "walk", "run", "fall"], window=50)
    >>> program
    Program(GRU 3->4; 4 classes; int8; 276 B; ...)
    >>> program.predict(x).shape
    (20,)

    A folder of `train` and a data set, with scores:

    >>> trained = ef.train("mine.csv", "gru", out="runs/gru", hidden=8, epochs=1)
    >>> program = ef.compress("runs/gru", "mine.csv", recipe={"widths": {"weights": "int4"}})
    >>> 0 <= program.metadata["accuracy_int"] <= 1
    True
    """
    from edgeflow.data import Dataset, Windows
    from edgeflow.progress import silent
    from edgeflow.quantization import Widths
    from edgeflow.recipes.apply import DEFAULT_BOARD, compress_by_recipe, compress_on_windows
    from edgeflow.recipes.recipe import as_recipe

    if widths is not None and not isinstance(widths, Widths):
        raise CompressError(f"widths are edgeflow.Widths(...), not {type(widths).__name__}")
    model_options = arguments.as_model_options(checkpoint, untrained, nir_reset, nir_dt)
    arguments.check_texts(CompressError, board=board, split=split)
    arguments.check_flags(CompressError, restart=restart)
    arguments.check_calls(CompressError, on_epoch=on_epoch, progress=progress)
    source, (steps, name) = arguments.as_model(model), as_recipe(recipe)
    out = None if out is None else arguments.as_path("out", out, CompressError)
    if isinstance(calibration, str | Path):
        calibration = arguments.as_dataset(calibration)
    if isinstance(calibration, Dataset):
        arguments.check_described(calibration, channels, classes, window, rate_hz)
        if widths is not None:
            raise CompressError('widths are for arrays: use recipe={"widths": {...}}')
        with tempfile.TemporaryDirectory() as scratch, arguments.files_named(CompressError):
            made = compress_by_recipe(
                source, calibration, steps, Path(scratch) / "model.onnx" if out is None else out,
                name=name, board=board or DEFAULT_BOARD, model_options=model_options, split=split,
                restart=restart, on_epoch=on_epoch, progress=progress or silent,
            )  # fmt: skip
        return arguments.warned(made.compressed.program)
    program = compress_on_windows(
        source,
        arguments.as_windows(calibration.x if isinstance(calibration, Windows) else calibration),
        steps,
        model_options=model_options,
        channels=arguments.as_names("channels", channels),
        classes=arguments.as_names("classes", classes),
        window=arguments.as_whole("window", window),
        rate_hz=arguments.as_number("rate_hz", rate_hz),
        widths=widths,
    )
    if out is not None:
        with arguments.files_named(CompressError):
            program.save(out)
    return arguments.warned(program)


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
    name: str | None = None,
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
        Goal of the choice of kernels: "speed", "balanced" or "size".
    kernel_sets : sequence of str, optional
        Instead of a choice by cost: the first that fits, for example ``["c"]`` for plain C.
    kernels : mapping, optional
        Names of the kernels of single matrices, by layer and field: ``gru.input``.
    tvm_layers : collection of str, optional
        Layers whose step TVM writes; default: as the backend chooses.
    weights_in, kernels_in : str, optional
        Memory of the board that weights, or the code of a step, are copied to at start.
    name : str, optional
        Of the library: ``NAME.c``, ``NAME.h``, and all its global names begin with it. Default:
        ``model.c`` and ``model.h``, for a firmware with no other library of EdgeFlow.
    progress : callable, optional
        Called with the stage, the number of its parts done, and of all.

    Returns
    -------
    Build
        `Build.size` has its bytes; `Build.predict` runs it.

    Raises
    ------
    ProgramError, TargetError, ToolMissingError
        If the program cannot be read, the code does not fit the board, or its compiler is not
        installed.
    ExportError
        If the name cannot be one.

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
    from edgeflow.codegen.build import compile_program
    from edgeflow.progress import silent

    texts = {"weights_in": weights_in, "kernels_in": kernels_in}
    arguments.check_texts(TargetError, backend=backend, optimize=optimize, name=name, **texts)
    arguments.check_lists(TargetError, kernel_sets=kernel_sets, kernels=kernels)
    arguments.check_lists(TargetError, tvm_layers=tvm_layers)
    arguments.check_calls(TargetError, progress=progress)
    loaded, spec = arguments.as_program(program), arguments.as_board(board)
    with arguments.files_named(TargetError):
        return compile_program(
            loaded,
            spec.placed(weights=weights_in, kernels=kernels_in),
            arguments.as_path("directory", directory, TargetError),
            backend=backend,
            optimize=optimize,
            kernel_sets=kernel_sets,
            kernels=kernels,
            tvm_layers=tvm_layers,
            name=name,
            progress=progress or silent,
        )


def profile(
    build: Build | str | Path,
    data: Data | Windows | tuple[ArrayLike, ArrayLike | Sequence[str]],
    *,
    split: str = "test",
    steps: int | None = None,
    board: BoardSpec | str | None = None,
    port: str | None = None,
    runner: str | None = None,
    float_accuracy: float | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> ProfileResult:
    """Run a build on its board and compare every output with the program's.

    Parameters
    ----------
    build : Build, str or path
        A build, or its folder.
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
        Serial port of a board; without it an emulated board is started.
    runner : str, optional
        Flash tool that first writes the image to the board behind `port`; without it the image
        must be there, which the handshake checks.
    float_accuracy : float, optional
        Accuracy of the model before compression, 0..1; default: what the program stored.
    out : path, optional
        Folder for ``profile.json``; default: the build's.
    progress : callable, optional
        Called with the steps that are done and all.

    Returns
    -------
    ProfileResult
        Also written to ``profile.json``. After an interrupt or an error of the board, the file
        has what was collected until then and ``"complete": false``; the exception is raised.

    Raises
    ------
    DataError
        If the data do not fit the program.
    DeviceError
        If the board cannot be reached or goes away.
    TargetError, ToolMissingError
        If the build, the board or a tool is not usable.

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
    from edgeflow.data import Windows
    from edgeflow.profiling.run import profile as run

    if not isinstance(build, Build | str | Path):
        raise TargetError(f"a build is a Build or its folder, not {type(build).__name__}")
    arguments.check_texts(TargetError, split=split, port=port, runner=runner)
    arguments.check_calls(TargetError, progress=progress)
    steps = None if steps is None else arguments.as_whole("steps", steps)
    if float_accuracy is not None:
        float_accuracy = arguments.as_number("float_accuracy", float_accuracy)
    out = None if out is None else arguments.as_path("out", out, TargetError)
    board = None if board is None else arguments.as_board(board)
    loaded = build if isinstance(build, Build) else Build.load(build)
    dataset = (
        arguments.as_labelled(data, loaded.program(), split)
        if isinstance(data, Windows | tuple | list)
        else arguments.as_dataset(data)
    )
    with arguments.files_named(TargetError):
        result = run(
            loaded,
            dataset,
            split=split, steps=steps, board=board, port=port, runner=runner,
            float_accuracy=float_accuracy, out=out, progress=progress,
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
) -> list[Path]:
    """Write a program in another form. Options are for some forms only, and refused by others.

    Parameters
    ----------
    program : Program, str, path, mapping or sequence
        Several become one library, in which they share kernels and tables: programs by their
        names, with which their functions, types and macros begin, or files, whose names they get.
    to : str
        "cmake", "arduino", "platformio", "zephyr", "esp-idf", "onnx", "onnx-scan" or "tflite".
    out : path, optional
        File or folder; default: the format's, in the current folder.
    name : str, optional
        Of a library; its functions and macros begin with it, of several programs those of the
        kernels.
    core : str, optional
        A core whose kernels a library has; default "c": C that runs anywhere.
    optimize, backend : str, optional
        Of a library, as for `compile`.
    data : Dataset, str or path, optional
        Real recordings, for what an export shows or measures on them.
    activations : str, optional
        Of a .tflite file: "int16" or "int8".
    inline : bool, optional
        ONNX: standard operators only, no local functions.
    raw : bool, optional
        ONNX: reads raw samples, and gives scores and the class.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    ExportError
        If there is no such format, it does not have an option, or cannot express the program.
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
    from edgeflow.exporting import export as write

    texts = {"name": name, "core": core, "optimize": optimize, "backend": backend}
    arguments.check_texts(ExportError, to=to, activations=activations, **texts)
    arguments.check_flags(ExportError, inline=inline, raw=raw)
    out = None if out is None else arguments.as_path("out", out, ExportError)
    asked = {
        "name": name, "core": core, "optimize": optimize, "backend": backend,
        "data": None if data is None else arguments.as_dataset(data),
        "activations": activations, "inline": inline, "raw": raw,
    }  # fmt: skip
    given = {option: value for option, value in asked.items() if value is not None}
    with arguments.files_named(ExportError):
        return write(arguments.as_programs(program), to, out, **given)


def load(path: str | Path) -> Program:
    """Read a program, such as the ``model.onnx`` of `compress` or of a build folder.

    A build folder is read by `Build.load`.

    Parameters
    ----------
    path : str or path

    Raises
    ------
    ProgramError
        If the file is missing, corrupt or not made by EdgeFlow.

    Examples
    --------
    >>> import numpy as np, torch, edgeflow as ef
    >>> x = np.random.default_rng(0).standard_normal((20, 50, 3))
    >>> program = ef.compress(torch.nn.GRU(3, 4, batch_first=True), x, out="model.onnx")
    >>> ef.load("model.onnx") == program
    True
    """
    if arguments.as_path("path", path, ProgramError).is_dir():
        raise ProgramError(f"{path}: a folder: give the .onnx file, or use edgeflow.Build.load")
    return arguments.as_program(path)


def train(
    data: Data,
    cell: str = "gru",
    *,
    out: str | Path,
    restart: bool = False,
    on_epoch: OnEpoch | None = None,
    methods: Sequence[Method] = (),
    **options: Unpack[TrainKeywords],
) -> TrainResult:
    """Train a classifier; go on where an interrupted run with equal arguments stopped.

    The model sees the training subjects only; the epoch with the best macro-F1 on validation
    subjects is kept; test subjects are looked at once, at the end.

    Parameters
    ----------
    data : Dataset, str or path
        A data set, or its name or path.
    cell : str
        Name in ``edgeflow.cells.CELLS``: "gru", "lstm", "lmu", ...
    out : path
        Folder for ``model.pt``, ``metrics.json``, and ``resume.pt`` while training.
    restart : bool
        Begin anew, whatever is in `out`.
    on_epoch : callable, optional
        Called after each epoch with its number from 1, the number of epochs, and its row of
        the history.
    methods : sequence of Method
        Methods besides, such as ``edgeflow.training.distill.Distillation``.
    **options
        Fields of `edgeflow.training.TrainOptions`: hidden, layers, epochs, lr, window, mode,
        seed, ...; defaults are the cell's, where it has its own.

    Returns
    -------
    TrainResult
        `compress` takes it, or its folder.

    Raises
    ------
    TrainError
        If an option is wrong, or `out` holds a training with other arguments or is in use.
    DataError
        If the data cannot be read, a split is empty or its recordings are shorter than a window.

    Examples
    --------
    >>> import edgeflow as ef
    >>> result = ef.train("mine.csv", "gru", out="runs/first", hidden=8, epochs=1)
    >>> result
    TrainResult(gru on mine: ... parameters; ...% of ... decisions on test subjects; 'runs/first')
    """
    from edgeflow.training.loop import train as run

    arguments.check_texts(TrainError, cell=cell)
    arguments.check_flags(TrainError, restart=restart)
    arguments.check_calls(TrainError, on_epoch=on_epoch)
    arguments.check_methods(methods)
    with arguments.files_named(TrainError):
        return run(
            arguments.as_dataset(data),
            cell,
            out=arguments.as_path("out", out, TrainError),
            restart=restart,
            on_epoch=on_epoch,
            methods=methods,
            **options,
        )


def boards() -> BoardList:
    """Return the boards that EdgeFlow ships, by core from small to large.

    Examples
    --------
    >>> import edgeflow as ef
    >>> ef.boards().names
    ['qemu-m0', 'qemu-m3', 'qemu-m4', ...]
    >>> ef.boards()[2].core.name
    'cortex-m4'
    """
    from edgeflow.targets.board import list_boards
    from edgeflow.targets.boards import BoardList

    return BoardList(list_boards())

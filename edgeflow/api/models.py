"""Train, compress and load models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from edgeflow import arguments
from edgeflow.errors import CompressError, ProgramError, TrainError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

    from edgeflow.arguments import Data, Model
    from edgeflow.data import Windows
    from edgeflow.program import Program
    from edgeflow.progress import StageProgress
    from edgeflow.quantization import Widths
    from edgeflow.recipes.recipe import Recipe
    from edgeflow.training.fit import OnEpoch
    from edgeflow.training.loop import TrainResult
    from edgeflow.training.method import Method
    from edgeflow.training.options import TrainKeywords


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
        Begin anew, whatever training is in `out`; an older model stays until the new one is
        complete.
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
        If an option is wrong, or `out` holds a training with other arguments.
    OutputError
        If `out` holds what EdgeFlow did not make, or another process writes it.
    DataError
        If the data cannot be read, a split is empty or its recordings are shorter than a window.

    Examples
    --------
    >>> import edgeflow as ef
    >>> result = ef.train("mine.csv", "gru", out="runs/first", hidden=8, epochs=1)
    >>> result
    TrainResult(gru on mine: ... parameters; ...% of ... decisions on test subjects; 'runs/first')
    """
    from edgeflow.training.loop import FOLDER
    from edgeflow.training.loop import train as run

    arguments.check_texts(TrainError, cell=cell)
    arguments.check_flags(TrainError, restart=restart)
    arguments.check_calls(TrainError, on_epoch=on_epoch)
    arguments.check_methods(methods)
    out = arguments.as_path("out", out, TrainError)
    with arguments.files_named(TrainError):
        FOLDER.check(out, {"the data": data})
        return run(
            arguments.as_dataset(data),
            cell,
            out=out,
            restart=restart,
            on_epoch=on_epoch,
            methods=methods,
            **options,
        )


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
        ``mymodel.py:Net``; or an .onnx, .pt2, .keras, .h5 or .nir file.
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
    OutputError
        If `out` or its record is an input or another's file, or another process writes it.

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
    from edgeflow.compression.record import record_path
    from edgeflow.data import Dataset, Windows
    from edgeflow.files import check_outputs, model_files, scratch_folder
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
    if out is not None:
        read = {
            "the model": model_files(source),
            "the data": calibration, "the recipe": recipe, "the checkpoint": checkpoint,
        }  # fmt: skip
        check_outputs((out, record_path(out)), read)
    if isinstance(calibration, str | Path):
        calibration = arguments.as_dataset(calibration)
    if isinstance(calibration, Dataset):
        arguments.check_described(calibration, channels, classes, window, rate_hz)
        if widths is not None:
            raise CompressError('widths are for arrays: use recipe={"widths": {...}}')
        with scratch_folder("compress") as scratch, arguments.files_named(CompressError):
            made = compress_by_recipe(
                source, calibration, steps, scratch / "model.onnx" if out is None else out,
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

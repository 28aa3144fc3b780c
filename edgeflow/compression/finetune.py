"""Fine-tuning of a trained model for compression; resumable as ``edgeflow.train`` is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgeflow.cells.checkpoint import read_torch, write_torch
from edgeflow.compression.model import ChainModel
from edgeflow.compression.quantize import quantize
from edgeflow.data.sequences import SIDE_BY_SIDE, Model, sequences_of
from edgeflow.files import FolderKind, output_folder
from edgeflow.importers import FloatChain
from edgeflow.program import Program
from edgeflow.quantization import Widths
from edgeflow.training import resume
from edgeflow.training.batches import Batch, Change, of_epoch, tail_of
from edgeflow.training.fit import Fit, OnEpoch
from edgeflow.training.method import Method
from edgeflow.training.options import FitOptions
from edgeflow.training.repeat import repeatable

if TYPE_CHECKING:
    from edgeflow.data import Dataset

#: Files that a run writes into its folder.
FILES = ("resume.pt", "weights.pt", "run.json")
#: Of a fine-tuning.
FOLDER = FolderKind(
    "compress", earlier=lambda folder: resume.earlier(folder, "compress", "run.json", FILES)
)


@dataclass(frozen=True)
class FineTuneOptions(FitOptions):
    """Options of :func:`finetune`: those of training, with a lower rate, fewer epochs."""

    epochs: int = 5
    lr: float = 1e-3
    weight_decay: float = 0.0
    patience: int = 0


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned model.

    Attributes
    ----------
    chain : FloatChain
        Its float layers, after the methods' `finish`.
    history : list of dict
        One row per epoch: "epoch", "loss", the task's metrics of the integer program on validation
        subjects, such as "val_accuracy" and "val_macro_f1", and what the methods add.
    best_epoch : int
        The one kept; 0: the model as it came.
    arguments : dict
        What the result depends on.
    """

    chain: FloatChain
    history: list[dict[str, float]]
    best_epoch: int
    seconds: float
    arguments: dict[str, Any]


def finetune(
    chain: FloatChain,
    dataset: "Dataset",
    calibration: NDArray[np.float32],
    *,
    folder: str | Path,
    methods: Sequence[Method] = (),
    widths: Widths | None = None,
    options: FineTuneOptions | None = None,
    run_as: Callable[[Program], Sequence[Program]] | None = None,
    restart: bool = False,
    on_epoch: OnEpoch | None = None,
) -> FineTuned:
    """Train a model on; go on where an interrupted run with equal arguments stopped.

    It learns from the training subjects: from windows or, if the model has none, from whole
    recordings, whose state goes on from piece to piece. The epoch whose integer program, of these
    widths, is best on validation subjects by the task's headline is kept; before the first epoch
    counts as one.

    Parameters
    ----------
    chain : FloatChain
        Is not changed.
    calibration : float32 array [n, time, channels]
        For the programs that are validated.
    folder : str or Path
        For ``resume.pt`` while training, then ``weights.pt`` and ``run.json``.
    methods : sequence of Method
        For example `edgeflow.compression.qat.QuantizationAware`.
    run_as : callable, optional
        Returns what a program is run as, such as several analog chips: each runs its share of the
        validation sequences, and the scores of all count. The history has those of the program
        itself as "ideal_accuracy", ... too. The methods say what it does.
    restart : bool
        Do not look at what is in `folder`, which stays until the new run is complete.
    on_epoch : callable, optional
        Called after each epoch with its number from 1, the number of epochs, and its row.

    Raises
    ------
    TrainError
        If an option is wrong, or `folder` holds a run with other arguments or is in use.
    CompressError, ProgramError
        If the model cannot be converted.
    DataError
        If a split is empty or its recordings are shorter than a window.
    """
    widths, options = widths or Widths(), options or FineTuneOptions()
    options.check()
    options = replace(options, loss=dataset.task.loss_name(options.loss))
    folder = Path(folder)
    length = chain.window or dataset.window
    arguments = {
        "data": dataset.name,
        "recordings": resume.fingerprint(dataset),
        "model": chain_hash(chain),
        **asdict(options),
        "window": length,
        **({} if chain.window else {"mode": "streaming"}),
        **({"hop": chain.hop} if chain.hop else {}),
        "widths": asdict(widths),
        "methods": [method.describe() for method in methods],
        "torch": str(torch.__version__),
    }
    with output_folder(folder, FOLDER) as held, repeatable(options.seed, options.threads):
        held.begin(FILES)
        fit = Fit(
            ChainModel(chain),
            options,
            dataset,
            batches=_batches(chain, dataset, options),
            evaluate=_validation(dataset, chain, calibration, widths, run_as),
            metric=dataset.task.headline,
            arguments=arguments,
            folder=folder,
            methods=methods,
            keep_start=True,
            pace=chain.window > 0,
        )
        found = None if restart else resume.read_result(folder / "run.json", arguments)
        if found is None:
            fit.run(on_epoch, restart=restart)
            found = {
                "history": fit.history,
                "best_epoch": fit.best["epoch"],
                "seconds": round(fit.seconds, 2),
                "arguments": arguments,
            }
            write_torch(fit.average.state_dict(), held.new / "weights.pt")
            resume.write_result(held.new / "run.json", found)
            held.commit()  # and resume.pt goes
        else:
            weights = read_torch(
                folder / "weights.pt", "a weights.pt", "start again with --restart"
            )
            fit.average.load_state_dict(weights)
        for method in methods:
            method.finish(fit.average)
    model = fit.average
    assert isinstance(model, ChainModel)
    return FineTuned(chain=model.chain(), **found)


def _batches(
    chain: FloatChain, dataset: "Dataset", options: FineTuneOptions
) -> Callable[[Change], Iterator[Batch]]:
    """Return what makes an epoch's batches, as the training of a new model has them."""
    length = chain.window or dataset.window
    tail = tail_of(length, chain.hop, options.tail)
    streamed = dataset.window // 2 if chain.warmup is None else chain.warmup
    warmup = None if chain.window else streamed
    return lambda change: of_epoch(
        dataset, length, options.batch, tail=tail, warmup=warmup, change=change
    )


def _validation(
    dataset: "Dataset", start: FloatChain, calibration: NDArray[np.float32], widths: Widths,
    run_as: Callable[[Program], Sequence[Program]] | None,
) -> Callable[[Any], dict[str, float]]:  # fmt: skip
    """Return the scorer of a model by its integer program on validation subjects."""
    task = dataset.task
    found = sequences_of(dataset, "val", window=start.window, hop=start.hop, warmup=start.warmup)
    truth = found.truth

    def of(name: str, programs: Sequence[Program]) -> dict[str, float]:
        outputs: list[Any] = [None] * len(found.x)
        for first, program in enumerate(programs):
            own = slice(first, None, len(programs))
            outputs[own] = found.part(own).run(_on_samples(program), SIDE_BY_SIDE)
        decided = task.decisions(found.counted(outputs), programs[0].scaling)
        return {f"{name}_{key}": value for key, value in task.score(truth, decided).items()}

    def score(model: ChainModel) -> dict[str, float]:
        program = quantize(model.chain(), calibration, widths)
        if run_as is None:
            return of("val", [program])
        return of("val", run_as(program)) | of("ideal", [program])

    return score


def _on_samples(program: Program) -> Model:
    return lambda x: program.run(program.quantize_input(x))


def chain_hash(chain: FloatChain) -> str:
    """Return a hash of the weights of a chain."""
    state = {
        f"{name}.{key}": value
        for name, layer in chain.layers
        for key, value in layer.state_dict().items()
    }
    return resume.weights_hash(state)

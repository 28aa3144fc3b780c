"""Reservoirs of random resistive memory as trained models, which every other command takes.

It is here, and not beside the training loop, as that knows nothing of analog arrays.
"""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeflow.cells import SequenceClassifier, load_model, save_model
from edgeflow.data.dataset import Dataset
from edgeflow.data.sequences import sequences_of
from edgeflow.errors import ImcError
from edgeflow.files import output_folder
from edgeflow.imc.breakdown import Breakdown, load_breakdown
from edgeflow.imc.reservoir import Cells, Reservoir, check_cell
from edgeflow.imc.reservoir_chips import on_chips
from edgeflow.imc.reservoir_fit import Examples, Fitted, choose, designs, fit
from edgeflow.imc.reservoir_options import ReservoirOptions
from edgeflow.progress import StageProgress, silent
from edgeflow.training import batches, resume
from edgeflow.training.loop import FILES, FOLDER, SCORED, TrainResult


def train_reservoir(
    dataset: Dataset,
    cell: str = "rnn",
    *,
    out: str | Path,
    restart: bool = False,
    progress: StageProgress = silent,
    **options: Any,
) -> TrainResult:
    """Make a reservoir of random resistive memory, and fit its head by ridge regression.

    The head is fitted to training subjects; penalty and design are chosen on validation subjects,
    the design in software; test subjects are looked at once, at the end. Then chips are tried: each
    has random cells of its own and a head fitted to what they give.

    Parameters
    ----------
    dataset : Dataset
    cell : str
        "rnn", an echo state network, or "lif", a liquid state machine.
    out : path
        Folder for ``model.pt`` and ``metrics.json``, as of `edgeflow.train`. Beside what that has,
        ``metrics.json`` has "reservoir" (random memory, design, penalty) and "chips" (the fields of
        `edgeflow.imc.reservoir_chips.ReservoirChips`; null: none were asked for).
    restart : bool
        Begin anew, whatever training is in `out`.
    progress : callable
    **options
        Fields of `edgeflow.imc.reservoir_options.ReservoirOptions`.

    Raises
    ------
    ImcError
        If the cell has no form as a reservoir, there is no such random memory, or an option is
        wrong.
    TrainError
        If `out` holds a training with other arguments.
    OutputError
        If `out` holds what EdgeFlow did not make, or another process writes it.
    DataError
        If a split is empty, or its recordings are shorter than a window.
    """
    check_cell(cell)
    try:
        settings = ReservoirOptions(**options)
    except TypeError as error:
        raise ImcError(f"unknown option of a reservoir: {error}") from None
    settings.check()
    next(designs(cell, settings))  # an option of another cell is an error before all work
    source, folder = load_breakdown(settings.device), Path(out)
    window = settings.window or dataset.window
    arguments = {
        "data": dataset.name,
        "recordings": resume.fingerprint(dataset),
        "cell": cell,
        **asdict(settings),
        "window": window,
        "memory": source.model_dump(mode="json"),
    }
    with output_folder(folder, FOLDER) as held:
        held.begin(FILES)
        earlier = None if restart else resume.read_result(folder / "metrics.json", arguments)
        if earlier is not None:
            return TrainResult(folder, load_model(folder), earlier)
        model, found = _make(dataset, cell, window, settings, source, progress)
        save_model(model, held.new / "model.pt")
        result = found | {"history": [], "arguments": arguments}
        resume.write_result(held.new / "metrics.json", result)
        held.commit()
    return TrainResult(folder, model, result)


def _make(
    dataset: Dataset, cell: str, window: int, settings: ReservoirOptions, source: Breakdown,
    progress: StageProgress,
) -> tuple[SequenceClassifier, dict[str, Any]]:  # fmt: skip
    start = time.monotonic()
    mean, std = batches.normalisation(dataset)
    data = Examples.of(dataset, window, mean.numpy(), std.numpy())
    cells = Cells.drawn(source, len(dataset.channels), settings.hidden, settings.seed)
    design = choose(cell, cells, data, settings, progress)
    reservoir = Reservoir(design, cells)
    progress("fitting the head", 0, 0)
    fitted = fit(reservoir, data)
    model = SequenceClassifier(
        cell,
        dataset.classes,
        dataset.channels,
        hidden=settings.hidden,
        rate_hz=dataset.rate_hz,
        window=window,
        data=dataset.name,
        units=dataset.units,
        seed=settings.seed,
        readout="mean",
        target=dataset.target,
    )
    model.mean.copy_(mean)
    model.std.copy_(std)
    load_reservoir(model, reservoir, fitted)
    result: dict[str, Any] = {
        "data": dataset.name,
        "cell": cell,
        "parameters": sum(p.numel() for p in model.parameters()),
        "mode": "window",
        "window": window,
        "rate_hz": dataset.rate_hz,
        "classes": dataset.classes,
        "people": dataset.people,
        "best_epoch": 0,
        **{split: _scores(dataset, model, split) for split in ("val", "test")},
        "reservoir": {
            "device": source.name,
            "about": source.about,
            "sources": list(source.sources),
            "unverified": list(source.unverified),
            "design": asdict(design),
            "penalty": fitted.strength,
        },
    }
    tried = on_chips(design, data, source, settings, progress) if settings.chips else None
    result["chips"] = None if tried is None else tried.to_json()
    result["seconds"] = round(time.monotonic() - start, 2)
    return model, result


@torch.no_grad()
def load_reservoir(model: SequenceClassifier, reservoir: Reservoir, fitted: Fitted) -> None:
    """Give a model of one layer the weights of a reservoir and its head."""
    weights, recurrent = _tensor(reservoir.input.weights.T), _tensor(reservoir.recurrent.weights.T)
    layer: Any = model.rnn
    if model.cell == "rnn":
        layer.weight_ih_l0.copy_(weights[:, :-1])
        layer.bias_ih_l0.copy_(weights[:, -1])
        layer.bias_hh_l0.zero_()
        layer.weight_hh_l0.copy_(recurrent)
    else:
        layer = layer.layers[0]
        layer.input.weight.copy_(weights[:, :-1])
        layer.input.bias.copy_(weights[:, -1])
        layer.recurrent.weight.copy_(recurrent)
        layer.threshold.fill_(1.0)
        decay = torch.full_like(layer.beta_logit, reservoir.design.decay)
        layer.beta_logit.copy_(torch.logit(decay, eps=1e-7))
    model.head.weight.copy_(_tensor(fitted.head.weight))
    model.head.bias.copy_(_tensor(fitted.head.bias))
    model.eval()


def _tensor(values: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


@torch.no_grad()
def _scores(dataset: Dataset, model: SequenceClassifier, split: str) -> dict[str, Any]:
    """Return scores of a split as ``metrics.json`` has them."""
    found = sequences_of(dataset, split, window=model.window)
    outputs = found.run(lambda x: model(torch.from_numpy(x)).numpy(), SCORED)
    truth, decided = found.truth, dataset.task.decisions(found.counted(outputs))
    return {
        "decisions": len(decided),
        **dataset.task.score(truth, decided),
        **dataset.task.counts(truth, decided),
    }

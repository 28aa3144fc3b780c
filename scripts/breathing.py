"""Breathing 0.5 to 2 s ahead: a forecaster of other patients, moved to one by its first minute.

python scripts/breathing.py --root DATA [--sequences 8,9] [--board qemu-m4] [--adapt nlms]
python scripts/breathing.py --root DATA --adapt layer --cell mingru [--choose]

The markers' main directions in the first minute are what the model reads. It is trained on the
other sequences; then its linear path is solved anew on the first minute, by a ridge regression that
pulls to the weights as they were. How strongly is what `--choose` compares, on sequences that are
not tested. Prints nRMSE on the rest of each sequence, beside a ridge regression on the first minute
alone. `--adapt layer` learns on by all weights of the recurrent layer, in floats
(`online_recurrence.py`): a research row, which has no program.
"""

import argparse
import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from adaptive_forecast import Learner, learning
from lagged_gru import Deployed, Forecaster, program_of, scores
from numpy.typing import NDArray
from on_boards import profiled
from online_recurrence import SETTINGS, learned
from torch import Tensor

from edgeflow.data import Dataset, load_dataset
from edgeflow.data.forecasts import forecasts

HORIZONS_S = (0.5, 1.0, 1.5, 2.0)
STEPS = (5, 10, 15, 20)
#: Main directions; samples that the linear path reads before the present one.
INNER, PAST = 3, 60
#: Samples of a training piece, of which the first `PAST` do not count.
PIECE = 260
#: Strengths of the first minute that are compared, and the one that was best.
STRENGTHS, BEST = (0.0, 0.5, 1.0, 2.0, 4.0), 1.0
#: How `--adapt nlms` learns: of what was tried, the best on sequences that are not tested.
LEARNER = Learner(step=0.1, ridge=0.001, least=3e-4)
#: Recurrent layers that `--adapt layer` learns all of.
LAYERS = ("gru", "mingru", "minlstm")

Floats = NDArray[np.float64]


class Patient:
    """One sequence: its first minute, the rest, and what the first minute says of its markers.

    Attributes
    ----------
    front : tuple of array
        Weights [INNER, 9] and biases of the main directions, in deviations of the first one.
    back : array [9, INNER]
        From there to mm.
    """

    def __init__(self, data: Dataset, name: str) -> None:
        parts = {one.person: one.x.astype(np.float64) for one in data.recordings}
        self.name, self.first, self.rest = name, parts[f"{name}a"], parts[name]
        mean = self.first.mean(axis=0)
        ways = np.linalg.svd(self.first - mean, full_matrices=False)[2][:INNER]
        ways *= np.sign(ways.sum(axis=1, keepdims=True))  # all patients' the same way round
        size = ((self.first - mean) @ ways[0]).std()
        self.front = (ways / size, -ways @ mean / size)
        self.back = ways.T * size

    def inner(self, x: Floats) -> Floats:
        return x @ self.front[0].T + self.front[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, help="folder of the data")
    parser.add_argument("--sequences", default="8,9", help="to test, each left out of training")
    parser.add_argument("--choose", action="store_true", help="compare strengths, and no more")
    parser.add_argument("--strength", type=float, default=BEST)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--past", type=int, default=PAST, help="samples that the linear path reads")
    parser.add_argument(
        "--adapt", choices=["nlms", "layer"],
        help="learn on as samples come, from the first minute on",
    )  # fmt: skip
    parser.add_argument("--cell", choices=LAYERS, default="gru", help="others: --adapt layer only")
    parser.add_argument(
        "--rates", type=float, nargs=3, metavar=("ALONE", "LAYER", "READ"),
        help="step sizes of --adapt layer, as --choose finds them: of the read-out where it alone "
        "learns, of the recurrent layer, and of the read-out then",
    )  # fmt: skip
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--board", help="profile on it, or several, with the rest of each sequence")
    parser.add_argument("--out", default="build-breathing")
    given = parser.parse_args()
    layer = given.adapt == "layer"
    if layer and not given.choose and given.rates is None:
        parser.error("--adapt layer needs --rates, which --choose finds")
    if given.cell != "gru" and not layer:
        parser.error(f"--cell {given.cell} is for --adapt layer: programs here have a GRU")
    torch.set_num_threads(1)
    data = load_dataset("breathing", root=given.root)
    patients = {name: Patient(data, name) for name in _names(data, "train", "val", "test")}
    if given.choose:
        _choose(patients, _names(data, "train", "val"), data, given)
        return
    found = []
    for name in given.sequences.split(","):
        model = _trained([one for one in patients.values() if one.name != name], given)
        test = _tested_layer if layer else _tested
        found.append(test(model, patients[name], data, given))
        print(name, " ".join(f"{key} {value:.3f}" for key, value in found[-1].items()), flush=True)
    mean = {key: np.mean([one[key] for one in found]) for key in found[0]}
    print("mean", " ".join(f"{key} {value:.3f}" for key, value in mean.items()))


def _names(data: Dataset, *splits: str) -> list[str]:
    return [name for s in splits for name in data.people[s] if not name.endswith("a")]


def _choose(
    patients: dict[str, Patient], names: Sequence[str], data: Dataset, given: argparse.Namespace
) -> None:
    """Print the mean nRMSE of each strength or step size, each sequence left out in turn."""
    rows, layer, wanted = [], given.adapt == "layer", forecasts(data, HORIZONS_S)
    tried = (
        [f"step sizes {a:g} {b:g}" for a, b in SETTINGS]
        if layer
        else ([f"strength {one:g}" for one in STRENGTHS])
    )
    for name in names:
        own = patients[name]
        model = _trained([patients[one] for one in names if one != name], given)
        if layer:
            rows.append(_learned_on(model, own, data, given, SETTINGS))
        else:
            moved = [_deployed(_moved(model, own, strength), own) for strength in STRENGTHS]
            rows.append([_nrmse(one, wanted, name) for one in moved])
    for what, value in zip(tried, np.mean(rows, axis=0), strict=True):
        print(f"{what}: mean nRMSE {value:.4f} of sequences {', '.join(names)}")


def _trained(others: Sequence[Patient], given: argparse.Namespace) -> Forecaster:
    torch.manual_seed(given.seed)
    rng = np.random.default_rng(given.seed)
    wholes = [one.inner(np.concatenate([one.first, one.rest])) for one in others]
    model = Forecaster(INNER, INNER * len(STEPS), given.hidden, given.past, cell=given.cell)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        pieces = [piece for whole in wholes for piece in _pieces(whole, rng)]
        z = torch.tensor(np.stack(pieces), dtype=torch.float32)
        for chosen in torch.randperm(len(z)).split(16):
            yield _with_changes(z[chosen])

    model.fit(batches, given.epochs, 3e-3, decay=1e-4, skip=PAST)
    return model


def _pieces(whole: Floats, rng: np.random.Generator) -> Iterator[Floats]:
    """Yield pieces of a sequence that breathes faster or slower, deeper or not, higher or not."""
    pace = np.exp(rng.uniform(-0.3, 0.3))
    when = np.arange(0, len(whole) - 1, pace)
    warped = np.stack([np.interp(when, np.arange(len(whole)), one) for one in whole.T], axis=1)
    for start in rng.integers(0, len(warped) - PIECE, 8):
        size, level = np.exp(0.3 * rng.standard_normal()), 0.25 * rng.standard_normal(INNER)
        yield size * warped[start : start + PIECE] + level


def _with_changes(z: Tensor) -> tuple[Tensor, Tensor]:
    """Return samples, and how much each will have changed at each horizon."""
    n = z.shape[1] - STEPS[-1]
    return z[:, :n], torch.cat([z[:, k : k + n] - z[:, :n] for k in STEPS], dim=-1)


def _moved(model: Forecaster, patient: Patient, strength: float) -> Forecaster:
    own = copy.deepcopy(model)
    first = torch.tensor(patient.inner(patient.first)[None], dtype=torch.float32)
    own.solve([_with_changes(first)], strength, PAST)
    return own


def _deployed(model: Forecaster, patient: Patient) -> Deployed:
    return Deployed(model, patient.front, np.kron(np.eye(len(STEPS)), patient.back))


def _joined(data: Dataset, patient: Patient) -> Dataset:
    """Return the data with the first minute before the rest of the patient's sequence."""
    whole = np.concatenate([patient.first, patient.rest]).astype(np.float32)
    recordings = [
        replace(one, x=whole) if one.person == patient.name else one for one in data.recordings
    ]
    return replace(data, recordings=recordings)


def _nrmse(model: object, data: Dataset, name: str, warmup: int = PAST) -> float:
    one = replace(data, people={"train": [], "val": [], "test": [name]})
    return float(scores(model, one, warmup)["overall"]["nrmse"])


def _tested(
    model: Forecaster, patient: Patient, data: Dataset, given: argparse.Namespace
) -> dict[str, float]:
    """Return nRMSE in floats and integers, and of a ridge regression on the first minute."""
    # the task's linear baseline is fitted to the training subjects: the first minute
    people = {"train": [f"{patient.name}a"], "val": [], "test": [patient.name]}
    own = forecasts(replace(data, people=people), HORIZONS_S)
    deployed = _deployed(_moved(model, patient, given.strength), patient)
    warmup = PAST
    if given.adapt:  # it reads all of the sequence, and is tested on the same part
        own = forecasts(_joined(replace(data, people=people), patient), HORIZONS_S)
        warmup += len(patient.first)
    deep = 1.5 * (patient.first - patient.first.mean(axis=0)) + patient.first.mean(axis=0)
    program = program_of(deployed, deep[None].astype(np.float32), own)
    found = {}
    if given.adapt:
        found["frozen"] = scores(program, own, warmup)["overall"]["nrmse"]
        first = patient.first[None].astype(np.float32)
        program = learning(program, deployed, first, STEPS, LEARNER)
    in_integers = scores(program, own, warmup)["overall"]
    if given.adapt:
        found |= {f"at {key}": one["nrmse"] for key, one in in_integers["horizons"].items()}
    if given.board:
        for line in profiled(program, given.board, f"{given.out}-{patient.name}", own):
            print(line, flush=True)
    return {
        "float": _nrmse(deployed, own, patient.name, warmup),
        **found,
        "integers": in_integers["nrmse"],
        "ridge": in_integers["nrmse_linear"],
        "hold": in_integers["nrmse_hold"],
    }  # fmt: skip


def _tested_layer(
    model: Forecaster, patient: Patient, data: Dataset, given: argparse.Namespace
) -> dict[str, float]:
    """Return nRMSE in floats: frozen, with a read-out that learns, and with all of the layer."""
    alone, both, read = given.rates
    settings = ((0.0, 0.0), (0.0, alone), (both, read))
    found = _learned_on(model, patient, data, given, settings)
    return dict(zip(("frozen", "read-out", "layer"), found, strict=True))


def _learned_on(
    model: Forecaster, patient: Patient, data: Dataset, given: argparse.Namespace,
    settings: Sequence[tuple[float, float]],
) -> list[float]:  # fmt: skip
    """Return the nRMSE of each setting behind the first minute, from which on it learns."""
    people = {"train": [f"{patient.name}a"], "val": [], "test": [patient.name]}
    own = forecasts(_joined(replace(data, people=people), patient), HORIZONS_S)
    z = torch.tensor(patient.inner(np.concatenate([patient.first, patient.rest])))
    moved = _moved(model, patient, given.strength)
    back = torch.tensor(np.kron(np.eye(len(STEPS)), patient.back)).float()
    in_mm = learned(moved, z.float(), STEPS, settings) @ back.T
    warmup = PAST + len(patient.first)
    return [_nrmse(lambda x, y=y: y[None, : x.shape[1]], own, patient.name, warmup) for y in in_mm]


if __name__ == "__main__":
    main()

"""Drones 0.5 and 1 s ahead, each racing flight left out of training in turn.

python scripts/uav.py --root DATA [--flights fpv-10] [--board qemu-m4]

The linear path is a ridge regression on the last velocities, the same for the three axes, fitted to
the other racing flights; it reads as many as the linear baseline does. The GRU then learns what is
left, from these flights turned about the vertical, mirrored and scaled, and a few of the simulated
ones. Prints the RMSE in metres.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from lagged_gru import Deployed, Forecaster, program_of, scores
from numpy.typing import NDArray
from on_boards import profiled
from torch import Tensor

from edgeflow.data import Dataset, Recording, load_dataset
from edgeflow.data.forecasts import LAGS, RIDGES, forecasts

HORIZONS_S = (0.5, 1.0)
AXES, FORECASTS = 3, 6
#: Strength of the linear path's regression: the least ridge that the linear baseline may take.
STRENGTH = min(RIDGES) ** -0.5
#: Samples of a training piece; those of its beginning, and of flights, that do not count.
PIECE, WARMUP = 72, LAGS
#: Of a velocity, in m/s.
UNIT = 3.0
#: Weights of the two horizons in the loss, as errors grow with time.
WEIGHTS = torch.tensor([2.0] * AXES + [1.0] * AXES)

#: Velocities [time, 3] in m/s, and displacements [time, 6] in m.
Flight = tuple[NDArray[np.float64], NDArray[np.float64]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, help="folder of the data")
    parser.add_argument("--flights", help="left out in turn; default: all that race")
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--board", help="profile on it, or several, with each flight that is left out"
    )
    parser.add_argument("--out", default="build-uav")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = load_dataset("uav", root=given.root)
    racing = sorted({one.person for one in data.recordings if one.person.startswith("fpv")})
    rows = []
    for flight in racing if given.flights is None else given.flights.split(","):
        others = sorted({one.person for one in data.recordings} - {flight})
        people = {"train": others, "val": [], "test": [flight]}
        rows.append(_tested(forecasts(replace(data, people=people), HORIZONS_S), flight, given))
    steps = [row.pop("steps") for row in rows]
    for name in rows[0]:
        each = np.array([row[name] for row in rows])
        together = np.sqrt(np.average(each**2, axis=0, weights=steps))
        print(f"{name}: RMSE at 0.5 and 1 s {_pair(each.mean(axis=0))} in the mean of flights, "
              f"{_pair(together)} of all steps together")  # fmt: skip


def _pair(values: NDArray[np.float64]) -> str:
    return " / ".join(f"{value:.3f}" for value in values) + " m"


def _tested(data: Dataset, flight: str, given: argparse.Namespace) -> dict[str, Any]:
    """Return the RMSE at each horizon by a model that never saw the flight, and by baselines."""
    model = _trained(data, given)
    deployed = Deployed(model, (np.eye(AXES) / UNIT, np.zeros(AXES)), UNIT * np.eye(FORECASTS))
    training = [one for one in data.split("train") if _races(one)]
    program = program_of(deployed, _calibration(training), data)
    found = {"float": scores(deployed, data, WARMUP), "integers": scores(program, data, WARMUP)}
    row = {name: _by_horizon(one, "rmse") for name, one in found.items()}
    row |= {name: _by_horizon(found["float"], f"rmse_{name}") for name in ("linear", "hold")}
    print(
        flight,
        *(f"{name} {_pair(one)}" for name, one in row.items()),
        flush=True,
    )
    if given.board:
        for line in profiled(program, given.board, f"{given.out}-{flight}", data):
            print(line, flush=True)
    return row | {"steps": sum(len(one.x) - WARMUP for one in data.split("test"))}


def _by_horizon(found: dict[str, Any], name: str) -> NDArray[np.float64]:
    return np.array([one[name] for one in found["overall"]["horizons"].values()])


def _races(one: Recording) -> bool:
    return one.person.startswith("fpv")


def _calibration(flights: Sequence[Recording]) -> NDArray[np.float32]:
    """Return pieces of flights, half as fast again, so that a faster one is not cut off."""
    starts = [(one.x, s) for one in flights for s in range(0, len(one.x) - PIECE, PIECE)]
    return 1.5 * np.stack([x[s : s + PIECE] for x, s in starts])


def _trained(data: Dataset, given: argparse.Namespace) -> Forecaster:
    torch.manual_seed(given.seed)
    rng = np.random.default_rng(given.seed)
    training = data.split("train")
    racing = [_flight(one) for one in training if _races(one)]
    others = [_flight(one) for one in training if not _races(one)]
    model = Forecaster(AXES, FORECASTS, given.hidden, LAGS, level=True)
    with torch.no_grad():
        model.linear.weight.copy_(torch.kron(_axis(racing).linear.weight, torch.eye(AXES)))
    model.linear.requires_grad_(False)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        pieces = [*_pieces(racing, 64, rng), *_pieces(others, 19, rng)]
        z, wanted = (
            torch.tensor(np.stack(part) / UNIT, dtype=torch.float32)
            for part in zip(*pieces, strict=True)
        )
        for chosen in torch.randperm(len(z)).split(16):
            yield z[chosen], wanted[chosen]

    model.fit(batches, given.epochs, 3e-3, decay=1e-3, skip=WARMUP, weights=WEIGHTS)
    return model


def _flight(one: Recording) -> Flight:
    assert one.target is not None
    return one.x.astype(np.float64), one.target[:, :FORECASTS].astype(np.float64)


def _axis(flights: Sequence[Flight]) -> Forecaster:
    """Return the linear path of one axis, fitted to all axes of flights."""
    axis = Forecaster(1, len(HORIZONS_S), 1, LAGS, level=True)
    axis.solve([_by_axis(one) for one in flights], STRENGTH, WARMUP)
    return axis.requires_grad_(False)


def _by_axis(flight: Flight) -> tuple[Tensor, Tensor]:
    """Return velocities [3, time, 1] and displacements [3, time, horizons] in `UNIT`."""
    velocity, way = (torch.tensor(part / UNIT, dtype=torch.float32) for part in flight)
    return velocity.T[..., None], way.unflatten(1, (len(HORIZONS_S), AXES)).permute(2, 0, 1)


def _pieces(flights: Sequence[Flight], count: int, rng: np.random.Generator) -> Iterator[Flight]:
    """Yield pieces, turned about the vertical, half of them mirrored, faster or slower."""
    room = np.array([max(len(velocity) - PIECE, 0) for velocity, _ in flights], float)
    for chosen in rng.choice(len(flights), count, p=room / room.sum()):
        start, angle = rng.integers(room[chosen] + 1), rng.uniform(0, 2 * np.pi)
        turn = np.array(
            [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
        )
        turn *= np.exp(0.3 * rng.standard_normal())
        turn[0] *= rng.choice([-1, 1])
        velocity, way = (part[start : start + PIECE] for part in flights[chosen])
        yield velocity @ turn, way @ np.kron(np.eye(len(HORIZONS_S)), turn)


if __name__ == "__main__":
    main()

"""Steps through a line that fails: every result is right, or an error says what happened.

Tier faults. Alone it holds the whole of host, protocol and firmware under faults of all kinds at
once: bytes flipped, dropped and doubled, runs of them lost, stalls, and boards that are reset in the
middle. Slow is the campaign, of 200,000 steps and more; a short one runs always.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from edgeflow.device import Board, Client, open_board
from edgeflow.errors import BoardResetError, DeviceError
from edgeflow.targets.board import load_board
from tests.faults.line import FaultyLine
from tests.firmware_model import INPUTS, MODEL_HASH, build_image, run_model


@pytest.fixture(scope="module")
def host_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_image("host", tmp_path_factory.mktemp("host"))


@dataclass
class Outcome:
    """What came of a campaign; `faults` by kind, `aborts` by message."""

    steps: int = 0
    wrong: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    noticed: Counter[str] = field(default_factory=Counter)
    aborts: list[str] = field(default_factory=list)


def recordings(seed: int) -> Iterator[np.ndarray]:
    """Yield random samples of random length, with ones that saturate."""
    rng = np.random.default_rng(seed)
    while True:
        size = (int(rng.integers(1, 120)), INPUTS)
        scale = rng.choice([30, 3000, 32767])
        yield rng.integers(-scale, scale + 1, size).astype(np.int16)


def campaign(
    board: Board, steps: int, rate: float, every: int, seed: int, each: int = 4000
) -> Outcome:
    """Run steps over a faulty line, some recordings in two calls, a new session now and then."""
    outcome = Outcome()
    rng = np.random.default_rng(seed)

    def restarted() -> object:
        board.reset()
        return board._open()

    line = FaultyLine(restarted, seed, rate, every)  # type: ignore[arg-type]
    client: Client | None = None
    begun_at = 0
    for x in recordings(seed):
        cut = int(rng.integers(1, len(x))) if len(x) > 1 and rng.random() < 0.3 else len(x)
        resets = line.counts["reset"]
        try:
            if client is None or outcome.steps - begun_at > each:
                client, begun_at = Client(line, MODEL_HASH), outcome.steps
            parts = [client.steps(x[:cut], reset=True).y]
            resets = line.counts["reset"]
            if cut < len(x):
                parts.append(client.steps(x[cut:]).y)
        except BoardResetError:
            assert line.counts["reset"] > resets, "a reset that was none"
            outcome.noticed["resets"] += 1
            client = None
            continue
        except DeviceError as error:
            assert "\n" not in str(error)
            outcome.aborts.append(str(error))
            client = None
            continue
        finally:
            if client is not None:
                outcome.noticed.update(_taken(client))
        outcome.wrong += int((np.concatenate(parts) != run_model(x)).any(axis=1).sum())
        outcome.steps += len(x)
        if outcome.steps >= steps:
            outcome.faults.update(line.counts)
            return outcome
    raise AssertionError


def _taken(client: Client) -> dict[str, int]:
    """Return the client's counts since the last call."""
    line = client.line
    found = {"retries": line.retries, "damaged": line.damaged, "resets": line.resets}
    line.retries = line.damaged = line.resets = 0
    return found


def check(outcome: Outcome, *, aborts: int) -> None:
    print(outcome)
    assert outcome.wrong == 0
    assert len(outcome.aborts) <= aborts, outcome.aborts
    assert outcome.noticed["retries"] > 0
    # of two in a row, or one before a session, the host need not know
    assert all(outcome.faults.values()), "each kind of fault must occur"
    assert outcome.faults["reset"] // 2 <= outcome.noticed["resets"] <= outcome.faults["reset"]


def test_a_bad_line_costs_time_only(host_image: Path) -> None:
    """A byte of 1,000, and a stall, a lost run and a reset now and then, with default settings."""
    with open_board(load_board("host"), image=host_image) as board:
        outcome = campaign(board, 1200, 1e-3, 40, seed=5, each=600)
    check(outcome, aborts=0)
    assert outcome.noticed["damaged"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "every", "steps"), [(1e-3, 300, 90_000), (1e-4, 100, 70_000), (1e-5, 100, 70_000)]
)
def test_campaign_on_this_machine(rate: float, every: int, steps: int, host_image: Path) -> None:
    with open_board(load_board("host"), image=host_image) as board:
        outcome = campaign(board, steps, rate, every, seed=int(rate * 1e6))
    check(outcome, aborts=steps // 20_000)


@pytest.mark.slow
@pytest.mark.board
@pytest.mark.parametrize("rate", [1e-4, 1e-3])
def test_campaign_on_an_emulated_board(rate: float, tmp_path: Path) -> None:
    """A UART, and a core that reads nothing while it computes and writes."""
    image = build_image("qemu-m4", tmp_path)
    with open_board(load_board("qemu-m4"), image=image) as board:
        outcome = campaign(board, 10_000, rate, 100, seed=3)
    check(outcome, aborts=1)

"""Tiers of tests: which one a test is in, what each took, and what each may take.

A test's tier is the folder that it stands in; ``-m parity`` selects one. Time is the processor's,
of the test and of the programs that it starts, as a busy machine changes the clock's more. After a
run ``.test-durations.jsonl`` has a line per test; a tier that takes half as much again as its
budget fails the run.
"""

import json
import os
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
DURATIONS = ROOT / ".test-durations.jsonl"
#: Tests without ``--slow``, in seconds of one of two busy cores: about a third more than measured,
#: so that other machines have room.
BUDGETS = {
    "unit": 560,
    "cli": 330,
    "parity": 1000,
    "boards": 480,
    "tvm": 320,
    "docs": 560,
    "faults": 80,
    "testbeds": 220,
    "apps": 175,
}
#: What fails, as a multiple of the budget.
TOO_MUCH = 1.5


def tier_of(path: Path) -> str:
    """Return the tier of a test file: the first folder of its path below ``tests``."""
    return path.relative_to(ROOT / "tests").parts[0]


class Tiers:
    """Marks tests with their tier, and keeps account of their time."""

    def __init__(self, config: pytest.Config) -> None:
        self._worker = hasattr(config, "workerinput")
        self._mark = _used()
        self._spent: dict[str, dict[str, float]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            item.add_marker(tier_of(item.path))

    def pytest_collection_finish(self) -> None:
        self._mark = _used()  # imports are no test's

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        before, self._mark = self._mark, _used()
        # attributes of a report travel from the workers of xdist
        report.cpu = self._mark - before  # type: ignore[attr-defined]
        report.tier = tier_of(item.path)  # type: ignore[attr-defined]
        return report

    def pytest_runtest_logreport(self, report: Any) -> None:
        if self._worker:
            return
        row = self._spent.setdefault(report.nodeid, {"cpu": 0.0, "wall": 0.0})
        row["cpu"] += report.cpu
        row["wall"] += report.duration
        if report.when == "teardown":
            slow = "slow" in report.keywords
            line = {"test": report.nodeid, "tier": report.tier, "slow": slow, **row}
            with DURATIONS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        if not self._worker:
            DURATIONS.parent.mkdir(exist_ok=True)
            DURATIONS.write_text("")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not self._worker and any(_over(*item) for item in _totals().items()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminalreporter.section("seconds of one core by tier")
        for tier, (count, cpu) in _totals().items():
            budget = BUDGETS[tier]
            over = f"  more than {TOO_MUCH:g} times its budget" if _over(tier, (count, cpu)) else ""
            terminalreporter.line(f"{tier:8} {count:5} tests {cpu:7.0f} s of {budget} s{over}")


def _used() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _totals() -> dict[str, tuple[int, float]]:
    """Return the tests of each tier and their time, without slow ones."""
    totals: dict[str, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
    for line in DURATIONS.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if not row["slow"]:
            count, cpu = totals[row["tier"]]
            totals[row["tier"]] = count + 1, cpu + row["cpu"]
    return dict(totals)


def _over(tier: str, total: tuple[int, float]) -> bool:
    return total[1] > TOO_MUCH * BUDGETS[tier]

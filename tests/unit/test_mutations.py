"""scripts/mutate.py: its faults can be put in, and it believes no test that tells nothing."""

import re
from pathlib import Path

import pytest

from scripts import mutate
from scripts.mutate import Mutation, MutationError, Run, judged, read_mutations
from tests.conftest import ROOT
from tests.tiers import BUDGETS

MUTATIONS = read_mutations()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_fault_fits_the_tree(mutation: Mutation) -> None:
    """Whoever changes a line that a fault is put into, or a test that catches one, sees it here."""
    before = (ROOT / mutation.file).read_text()
    assert mutation.applied(ROOT) != before
    assert mutation.tests and set(mutation.tiers) <= set(BUDGETS)
    for test in mutation.tests:
        file, *names = re.sub(r"\[.*", "", test).split("::")
        text = (ROOT / file).read_text()
        assert all(re.search(rf"(def|class) {name}\b", text) for name in names), test


def test_faults_are_many_and_in_all_tiers() -> None:
    assert len(MUTATIONS) >= 30
    assert {tier for mutation in MUTATIONS for tier in mutation.tiers} == set(BUDGETS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"old": "x"}, "2 times in a.py: 'x'"),
        ({"old": "y"}, "0 times in a.py: 'y'"),
        ({"file": "b.py"}, "0 times in b.py"),
        ({"new": "x = ("}, "a.py cannot be read"),
    ],
)
def test_what_cannot_be_put_in(tmp_path: Path, change: dict[str, str], message: str) -> None:
    (tmp_path / "a.py").write_text("x = 1\nz = x\n")
    fault = {"name": "n", "what": "w", "file": "a.py", "old": "x = 1", "new": "x = 2", **change}
    with pytest.raises(MutationError, match=f"n: .*{re.escape(message)}"):
        Mutation(**fault, tests=[]).applied(tmp_path)


FILE = "tests/unit/test_a.py"
CASE = f'<testcase classname="tests.unit.test_a{{inside}}" name="test_b[1]" file="{FILE}">'
FAILED = "<failure message='assert 1 == 2'>text</failure>"
SKIPPED = "<skipped message='no qemu'/>"


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        ([("", ""), ("", FAILED)], Run("tests/unit/test_a.py::test_b[1]", "assert 1 == 2", 0)),
        ([(".TestC", FAILED)], Run("tests/unit/test_a.py::TestC::test_b[1]", "assert 1 == 2", 0)),
        ([("", "<error message='failed on setup'/>")],
         Run("tests/unit/test_a.py::test_b[1]", "failed on setup", 0)),
        ([("", "<error message='collection failure'/>")],
         Run("", "cannot be collected: test_b[1]", 0)),
        ([("", "<failure message='edgeflow.errors.TargetError: host: a.c:1: error: no'/>")],
         Run("", "does not compile: edgeflow.errors.TargetError: host: a.c:1: error: no", 0)),
        ([("", SKIPPED), ("", SKIPPED)], Run("", "all tests skipped: no qemu", 0)),
        ([("", SKIPPED), ("", "")], Run("", "", 0)),
        ([], Run("", "no tests ran", 0)),
    ],
)  # fmt: skip
def test_only_a_test_that_ran_and_failed_counts(
    tmp_path: Path, cases: list[tuple[str, str]], expected: Run
) -> None:
    found = "".join(f"{CASE.format(inside=where)}{what}</testcase>" for where, what in cases)
    (tmp_path / "r.xml").write_text(f"<testsuites><testsuite>{found}</testsuite></testsuites>")
    assert judged(tmp_path / "r.xml") == expected


def test_the_summary_counts_by_tier() -> None:
    runs = {"a": Run("tests/unit/t.py::t", "", 1), "b": Run("tests/unit/t.py::t", "", 1)}
    assert mutate.summary(runs) == "2 of 2 caught: unit 2"
    runs |= {"c": Run("tests/boards/t.py::t", "", 1), "d": Run("", "", 1)}
    assert mutate.summary(runs) == "3 of 4 caught: unit 2, boards 1"

"""Puts faults into a copy of the tree, one at a time, and tells which tests catch them.

    python scripts/mutate.py [--only NAME ...] [--list] [--json FILE]

``scripts/mutations.toml`` has the faults, each with tests of the default run that should fail. They
must pass without any fault. Ends with 1 if a fault survives, with 2 if one cannot be put in or a
test fails without it.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
MUTATIONS = Path(__file__).with_name("mutations.toml")
#: Seconds after which the tests of a fault are given up.
TIMEOUT = 900
PYTEST = ("-x", "-q", "-p", "no:cacheprovider", "-o", "junit_family=xunit1")


class MutationError(Exception):
    """A fault that cannot be put in, or a test that fails without one."""


@dataclass(frozen=True)
class Mutation:
    """A fault.

    Parameters
    ----------
    name : str
    what : str
        What a user would suffer.
    file : str
        Path in the tree.
    old, new : str
        A text that occurs once in the file, and what replaces it.
    tests : list of str
        Node ids of pytest.
    """

    name: str
    what: str
    file: str
    old: str
    new: str
    tests: list[str]

    @property
    def tiers(self) -> list[str]:
        """Tiers of the tests: their folders."""
        return sorted({test.split("/")[1] for test in self.tests})

    def applied(self, root: Path) -> str:
        """Return the file's text with the fault; it stays a text that can be read."""
        path = root / self.file
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if (count := text.count(self.old)) != 1:
            raise MutationError(f"{self.name}: {count} times in {self.file}: {self.old!r}")
        mutated = text.replace(self.old, self.new)
        try:
            if path.suffix == ".py":
                compile(mutated, self.file, "exec")
            elif path.suffix == ".toml":
                tomllib.loads(mutated)
        except (SyntaxError, tomllib.TOMLDecodeError) as error:
            raise MutationError(f"{self.name}: {self.file} cannot be read: {error}") from None
        return mutated


@dataclass(frozen=True)
class Run:
    """The outcome of tests.

    Parameters
    ----------
    failed : str
        The first test that failed, empty if none did.
    message : str
        Why, or why nothing can be told.
    seconds : float
    """

    failed: str
    message: str
    seconds: float

    @property
    def tier(self) -> str:
        return self.failed.split("/")[1] if self.failed else ""


def read_mutations(path: Path = MUTATIONS) -> list[Mutation]:
    """Return the faults of a file; names are unique."""
    mutations = [Mutation(**entry) for entry in tomllib.loads(path.read_text())["mutation"]]
    twice = [name for name, count in Counter(m.name for m in mutations).items() if count > 1]
    if twice:
        raise MutationError(f"{path.name}: two faults are named {twice[0]}")
    return mutations


def copy_tree(target: Path) -> None:
    """Copy what git knows of the tree, and what is new, as it is now."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def run_tests(root: Path, tests: Sequence[str], timeout: float | None = TIMEOUT) -> Run:
    """Run tests of a copy of the tree until the first one fails."""
    report = root.parent / "report.xml"
    report.unlink(missing_ok=True)
    data = ROOT.parent / "shared" / "data"
    environment = {
        "EDGEFLOW_TEST_DATA": str(data),
        **os.environ,
        "PYTHONPATH": str(root),
        "XDG_CACHE_HOME": str(root.parent / "cache"),
        # a file that changes twice a second keeps its time stamp
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "pytest", *PYTEST, f"--junitxml={report}", *tests]
    start = time.monotonic()
    with (root.parent / "output.txt").open("w+") as output:
        process = subprocess.Popen(
            command, cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(timeout)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)  # emulators too
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return Run("", f"no end after {timeout:g} s", time.monotonic() - start)
        seconds = time.monotonic() - start
        output.seek(0)
        lines = output.read().strip().splitlines()
    if not report.is_file():
        return Run("", f"pytest: {lines[-1] if lines else process.returncode}", seconds)
    return replace(judged(report), seconds=seconds)


def judged(report: Path) -> Run:
    """Return what a report in JUnit's format says.

    Tests that cannot be collected, and C that does not compile, catch nothing: any test would.
    """
    cases = list(ET.parse(report).iter("testcase"))
    for case in cases:
        for kind in ("failure", "error"):
            found = case.find(kind)
            if found is None:
                continue
            message = found.get("message", "")
            if "file" not in case.attrib or message == "collection failure":
                return Run("", f"cannot be collected: {case.get('name')}", 0)
            if "TargetError" in message and ": error:" in message:
                return Run("", f"does not compile: {message.splitlines()[0]}", 0)
            return Run(_node_id(case), message, 0)
    skipped = [case for case in cases if case.find("skipped") is not None]
    if not cases:
        return Run("", "no tests ran", 0)
    if len(skipped) == len(cases):
        reason = skipped[0].find("skipped")
        return Run("", f"all tests skipped: {'' if reason is None else reason.get('message')}", 0)
    return Run("", "", 0)


def _node_id(case: ET.Element) -> str:
    file = case.get("file", "")
    inside = case.get("classname", "")[len(file.removesuffix(".py")) + 1 :]
    return "::".join([file, *([inside] if inside else []), case.get("name", "")])


def check_unharmed(root: Path, mutations: Sequence[Mutation]) -> float:
    """Run all tests once without any fault; return the seconds.

    Raises
    ------
    MutationError
        If one fails.
    """
    tests = dict.fromkeys(test for mutation in mutations for test in mutation.tests)
    run = run_tests(root, list(tests), timeout=None)
    if run.failed or (run.message and "skipped" not in run.message):
        reason = run.message.splitlines()[0] if run.message else ""
        raise MutationError(f"without any fault: {run.failed}: {reason}")
    return run.seconds


def try_mutation(root: Path, mutation: Mutation) -> Run:
    """Put a fault into the copy, run its tests, take it out again."""
    path = root / mutation.file
    before = path.read_bytes()
    path.write_text(mutation.applied(root), encoding="utf-8")
    try:
        return run_tests(root, mutation.tests)
    finally:
        path.write_bytes(before)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def summary(runs: dict[str, Run]) -> str:
    """Return how many faults were caught, by tier."""
    tiers = Counter(run.tier for run in runs.values() if run.failed)
    counts = ", ".join(f"{tier} {count}" for tier, count in tiers.most_common())
    return f"{tiers.total()} of {len(runs)} caught" + (f": {counts}" if counts else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", metavar="NAME", help="may be repeated")
    parser.add_argument("--list", action="store_true", help="show the faults, run nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    arguments = parser.parse_args()
    mutations = read_mutations()
    if arguments.only:
        unknown = set(arguments.only) - {m.name for m in mutations}
        if unknown:
            raise MutationError(f"no fault is named {', '.join(sorted(unknown))}")
        mutations = [m for m in mutations if m.name in arguments.only]
    if arguments.list:
        print(table([(m.name, ", ".join(m.tiers), m.what) for m in mutations]))
        return 0
    for mutation in mutations:
        mutation.applied(ROOT)
    runs: dict[str, Run] = {}
    with TemporaryDirectory(prefix="edgeflow-mutate-") as folder:
        root = Path(folder) / "tree"
        copy_tree(root)
        print(f"without a fault: {len(mutations)} selections of tests", flush=True)
        print(f"  pass in {check_unharmed(root, mutations):.0f} s", flush=True)
        for number, mutation in enumerate(mutations, 1):
            print(f"[{number}/{len(mutations)}] {mutation.name}: {mutation.what}", flush=True)
            run = runs[mutation.name] = try_mutation(root, mutation)
            fate = run.failed or f"SURVIVES {run.message}".strip()
            print(f"  {fate} ({run.seconds:.0f} s)", flush=True)
    rows = [("fault", "tier", "seconds", "caught by")]
    for name, run in runs.items():
        caught = run.failed or f"nothing: {run.message or 'all tests pass'}"
        rows.append((name, run.tier or "-", f"{run.seconds:.0f}", caught))
    print("", table(rows), "", summary(runs), sep="\n")
    if arguments.json:
        found = [
            {**asdict(m), **asdict(runs[m.name]), "tier": runs[m.name].tier} for m in mutations
        ]
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if all(run.failed for run in runs.values()) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except MutationError as error:
        print(f"mutate: {error}", file=sys.stderr)
        sys.exit(2)

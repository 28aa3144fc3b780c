"""The driver of a search: the same trials again, interruptions, lost workers, limits."""

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from edgeflow.search.driver import TRIES
from edgeflow.search.evaluate import Result
from edgeflow.search.search import front_of
from tests.search_world import OBJECTIVES, SPACE, Inline, World, evaluate, search, told


def test_the_same_seed_gives_the_same_trials_and_front(tmp_path: Path) -> None:
    """Fast. Alone catches a proposal that depends on more than seed, number and trials before."""
    one = search(tmp_path / "one", 30, Inline())
    other = search(tmp_path / "other", 30, Inline())
    assert one == other
    assert one != search(tmp_path / "third", 30, Inline(), seed=1)
    assert sum("rungs" in trial.attributes for trial in one) == 30
    assert one[0].point == SPACE.start[0]
    fronts = [front_of(trials, OBJECTIVES, len(SPACE.rungs)) for trials in (one, other)]
    assert fronts[0] == fronts[1] and fronts[0]
    # the file holds what the driver knows
    assert told(tmp_path / "one") == one


@pytest.mark.parametrize("sampler", ["gp", "random"])
def test_other_samplers(sampler: str, tmp_path: Path) -> None:
    """Fast. Alone catches a sampler that fails with several objectives and limits."""
    trials = search(tmp_path, 14, Inline(), sampler=sampler, in_memory=True)
    assert sum(trial.state == "complete" for trial in trials) == 14


def test_what_the_formula_rejects_is_not_trained(tmp_path: Path) -> None:
    """Fast. Alone catches a training of a candidate that is known to be too much."""
    sizes = []

    def seen(world: World, name: str, candidate: Any, *rest: Any) -> Result:
        sizes.append(candidate.options["hidden"])
        return evaluate(world, name, candidate, *rest)

    trials = search(tmp_path, 20, Inline(), evaluate=seen)
    rejected = [trial for trial in trials if trial.state == "rejected"]
    assert rejected and all(trial.constraints["instructions"] > 0.05 for trial in rejected)
    assert max(sizes) ** 2 <= 2000 * 1.05
    for trial in front_of(trials, OBJECTIVES, len(SPACE.rungs)):
        assert trial.values[1] <= 2000


class Stop(Exception):
    pass


def test_interrupted_after_each_trial_it_ends_the_same(tmp_path: Path) -> None:
    """Fast. Alone catches what a driver knows and its file does not."""
    whole = search(tmp_path / "whole", 12, Inline())
    ended: list[Any] = []
    count = Counter[str]()

    def counted(world: World, name: str, *rest: Any) -> Result:
        count[name] += 1
        return evaluate(world, name, *rest)

    def stop(trial: Any) -> None:
        ended.append(trial)
        raise Stop

    for _ in range(200):
        try:
            broken = search(tmp_path / "broken", 12, Inline(), evaluate=counted, on_told=stop)
            break
        except Stop:
            continue
    assert broken == whole
    assert set(count.values()) == {1}
    assert len(ended) == len(whole)


@pytest.mark.parametrize("after", [1, 2, 5, 9, 14, 20])
def test_interrupted_in_an_evaluation_it_ends_the_same(after: int, tmp_path: Path) -> None:
    """Fast. Alone catches a candidate on its way that is asked for anew."""
    whole = search(tmp_path / "whole", 8, Inline())
    left = [after]

    def failing(world: World, name: str, *rest: Any) -> Result:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return evaluate(world, name, *rest)

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "broken", 8, Inline(), evaluate=failing)
    assert search(tmp_path / "broken", 8, Inline()) == whole


def test_more_trials_go_on_from_those_before(tmp_path: Path) -> None:
    """Fast. Alone catches a longer search that begins anew."""
    search(tmp_path / "a", 6, Inline())
    workers = Inline()
    longer = search(tmp_path / "a", 10, workers)
    assert longer == search(tmp_path / "b", 10, Inline())
    assert search(tmp_path / "a", 10, workers) == longer


def test_a_lost_worker_costs_a_try_and_no_candidate(tmp_path: Path) -> None:
    """Fast. Alone catches a lost task that is counted twice, or forgotten."""
    tries = Counter[str]()

    def flaky(world: World, name: str, *rest: Any) -> Result:
        tries[name] += 1
        if tries[name] == 1 and int(name, 16) % 3 == 0:
            raise ConnectionError("gone")
        return evaluate(world, name, *rest)

    trials = search(tmp_path / "lost", 20, Inline(), evaluate=flaky)
    assert trials == search(tmp_path / "whole", 20, Inline())
    assert max(tries.values()) == 2


def test_a_task_that_kills_its_workers_ends_after_some_tries(tmp_path: Path) -> None:
    """Fast. Alone catches a candidate that is sent for ever, and one that ends the search."""
    tries = Counter[str]()

    def deadly(world: World, name: str, candidate: Any, *rest: Any) -> Result:
        if candidate.cell == "lmu":
            tries[name] += 1
            raise MemoryError("killed")
        if candidate.options["hidden"] % 2:
            raise ZeroDivisionError("a defect")
        return evaluate(world, name, candidate, *rest)

    trials = search(tmp_path, 25, Inline(), evaluate=deadly)
    failed = [trial for trial in trials if trial.state == "failed"]
    assert set(tries.values()) == {TRIES}
    whys = {trial.attributes["why"].split(":")[0] for trial in failed}
    assert whys == {f"lost {TRIES} times", "ZeroDivisionError"}
    assert sum("rungs" in trial.attributes for trial in trials) == 25


class Threads(Inline):
    """Many workers that take their time; remembers how many tasks were on their way."""

    def __init__(self, size: int, context: World) -> None:
        super().__init__(context, size)
        self.pool, self.futures, self.most = ThreadPoolExecutor(size), set[Future[Any]](), 0

    def submit(self, function: Any, *arguments: Any) -> Future[Any]:
        future = self.pool.submit(function, self.context, *arguments)
        self.futures = {one for one in self.futures if not one.done()} | {future}
        self.most = max(self.most, len(self.futures))
        return future

    def close(self) -> None:
        self.pool.shutdown()


@pytest.mark.parametrize(
    ("trials", "size"), [(40, 8), pytest.param(3000, 64, marks=pytest.mark.slow)]
)
def test_many_workers(trials: int, size: int, tmp_path: Path) -> None:
    """Fast and slow. Alone catches a queue, or memory, that grows with the trials."""
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    workers = Threads(size, World(seconds=0.002))
    found = search(tmp_path, trials, workers, in_memory=trials > 1000)
    assert sum("rungs" in trial.attributes for trial in found) == trials
    assert workers.most <= size
    digests = [d for t in found for r in t.attributes.get("rungs", []) for d in r["digests"]]
    assert len(list((tmp_path / "results").iterdir())) == len(set(digests))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1024**2  # kB

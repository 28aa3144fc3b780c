"""The driver of a search: it asks, rejects by formula, sends candidates out, and tells.

It alone writes the study. A candidate climbs from rung to rung as `climbs` says; its evaluations go
to workers, are written under their digests, and are looked up there first. A lost worker is a task
that is sent again.
"""

import math
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass, field
from typing import Any

from edgeflow.errors import CompressError, DeviceError
from edgeflow.search.candidate import UNSUITED, Candidate, Costs
from edgeflow.search.evaluate import Result
from edgeflow.search.objectives import Objectives
from edgeflow.search.rungs import Place, Rung, climbs
from edgeflow.search.store import Store
from edgeflow.search.study import Study, Told
from edgeflow.search.workers import Workers

#: Times that a task is sent whose worker is lost.
TRIES = 3
#: What a machine does not do now and may do later: a full disk or memory, a board that is late.
PASSING = (OSError, MemoryError, DeviceError)
#: Points in a row that the formula may reject.
REJECTED = 2000


@dataclass
class Live:
    """A candidate on its way: its rung, and results by seed."""

    told: Told
    candidate: Candidate
    rung: int = 0
    results: dict[int, Result] = field(default_factory=dict)
    reached: list[dict[str, Any]] = field(default_factory=list)
    why: str = ""


@dataclass(frozen=True)
class Task:
    """An evaluation."""

    live: Live
    seed: int
    digest: str


#: Costs of a candidate on a rung before its training.
Check = Callable[[Candidate, Rung], Costs]


class Driver:
    """Carries out a search.

    Parameters
    ----------
    study : Study
    store : Store
    workers : Workers
    evaluate : callable
        What a worker calls, with what `evaluate` takes.
    check : callable
        Returns the costs of a candidate by formula.
    objectives : Objectives
    key : str
        What results depend on besides candidate, rung and seed.
    trials : int
        Candidates to train; those that the formula rejects do not count.
    on_told : callable, optional
        Called with each trial that ended.
    """

    def __init__(
        self,
        study: Study,
        store: Store,
        workers: Workers,
        evaluate: Callable[..., Result],
        check: Check,
        objectives: Objectives,
        *,
        key: str,
        trials: int,
        on_told: Callable[[Told], None] | None = None,
    ) -> None:
        self.study, self.store, self.workers = study, store, workers
        self.evaluate, self.check, self.objectives = evaluate, check, objectives
        self.key, self.trials, self.on_told = key, trials, on_told
        self.rungs: Sequence[Rung] = study.space.rungs
        self._places: list[list[Place]] = [[] for _ in self.rungs]
        self._tasks: deque[Task] = deque()
        self._running: dict[Future[Result], Task] = {}
        self._same: dict[str, list[Task]] = {}
        self._tries: dict[str, int] = {}
        self._live = self._ended = self._in_a_row = 0

    def run(self) -> None:
        """Search until as many candidates were trained as asked for.

        Raises
        ------
        CompressError
            If nothing in the space is within the limits.
        """
        try:
            self._restore()
            while True:
                while len(self._running) < self.workers.size and (task := self._next()):
                    self._send(task)
                if not self._running:
                    break
                done, _ = wait(self._running, return_when=FIRST_COMPLETED)
                # in the order in which they were sent
                for future in [one for one in self._running if one in done]:
                    self._collect(self._running.pop(future), future)
        finally:
            self.workers.close()

    def _restore(self) -> None:
        """Take up the trials of an earlier run."""
        for told in self.study.trials():
            if told.state == "running":
                tables = self.study.space.tables(told.point)
                self._go(Live(told, Candidate.of(tables)))
            elif "rungs" in told.attributes:
                self._ended += 1
                for rung, one in enumerate(told.attributes["rungs"]):
                    self._places[rung].append(self.objectives.place(one))

    def _next(self) -> Task | None:
        """Return the next task; None: there is none now."""
        while True:
            while self._tasks:
                task = self._tasks.popleft()
                if task.live.why:  # it failed with another seed
                    continue
                if (known := self.store.get(task.digest)) is not None:
                    self._take(task, known)
                elif task.digest in self._same:  # another candidate's, on its way
                    self._same[task.digest].append(task)
                else:
                    return task
            if self._ended + self._live >= self.trials:
                return None
            self._ask()

    def _ask(self) -> None:
        """Ask for a candidate, and reject it if its costs are beyond the limits."""
        asked = self.study.ask()
        candidate = Candidate.of(self.study.space.tables(asked.point))
        state, excess, why, figures = "rejected", {}, "costs", {}
        try:
            costs = self.check(candidate, self.rungs[-1])
            figures = dict(costs.figures)
            excess = self.objectives.constraints(figures)
            unknown = [name for name in self.objectives.costs if figures[name] is None]
            if not unknown and not costs.excluded(self.objectives.limits):
                self._in_a_row = 0
                self.study.begin(asked)
                self._go(Live(asked, candidate))
                return
            if unknown:
                state, why = "failed", f"not known: {', '.join(unknown)}"
        except UNSUITED as error:
            state, why = "failed", str(error)
        self._in_a_row += 1
        attributes = {"formula": figures, "why": why}
        ended = Told(asked.number, asked.point, state, (), excess, attributes)
        self.study.tell(ended, begun=False)
        self._tell_of(ended)
        if self._in_a_row >= REJECTED:
            raise CompressError(
                f"{REJECTED} candidates in a row are beyond the limits (the last one: {why}): "
                "raise them, or give a space with smaller models; --dry-run tells the share within"
            )

    def _go(self, live: Live) -> None:
        """Make the tasks of a candidate's rung, before all others."""
        self._live += not live.reached
        rung = self.rungs[live.rung]
        live.results = {}
        tasks = [
            Task(live, seed, live.candidate.digest(rung, seed, self.key))
            for seed in range(rung.seeds)
        ]
        self._tasks.extendleft(reversed(tasks))

    def _send(self, task: Task) -> None:
        self._tries[task.digest] = self._tries.get(task.digest, 0) + 1
        self._same.setdefault(task.digest, [])
        live = task.live
        rung, last = self.rungs[live.rung], live.rung == len(self.rungs) - 1
        future = self.workers.submit(
            self.evaluate, task.digest, live.candidate, rung, task.seed, last
        )
        self._running[future] = task

    def _collect(self, task: Task, future: Future[Result]) -> None:
        """Take what a worker gave; send a task again whose worker is lost."""
        waiting = self._same.pop(task.digest)
        error = CancelledError("cancelled") if future.cancelled() else future.exception()
        lost = isinstance(error, (*self.workers.lost, *PASSING))
        if lost and self._tries[task.digest] < TRIES:
            self._tasks.extendleft(reversed([task, *waiting]))
            return
        self._tries.pop(task.digest)
        if error is None:
            result = self.store.put(task.digest, future.result())
        elif lost:
            result = Result(None, why=f"lost {TRIES} times: {error or type(error).__name__}")
        else:
            text = "".join(traceback.format_exception(error))
            result = Result(None, why=f"{type(error).__name__}: {error}\n{text}")
        for one in (task, *waiting):
            self._take(one, result)

    def _take(self, task: Task, result: Result) -> None:
        """Give a candidate a result; with all of its rung it climbs, or ends."""
        live = task.live
        live.results[task.seed] = result
        rung = self.rungs[live.rung]
        if result.score is None or not math.isfinite(result.score):
            if not live.why:
                live.why = result.why or "its score is no number"
                self._end(live, "failed")
            return
        if live.why or len(live.results) < rung.seeds:
            return
        found = self.objectives.summary([live.results[seed] for seed in range(rung.seeds)])
        found["digests"] = [live.candidate.digest(rung, s, self.key) for s in range(rung.seeds)]
        live.reached.append(found)
        place, others = self.objectives.place(found), self._places[live.rung]
        last = live.rung == len(self.rungs) - 1
        on = not last and self.objectives.within(found) and climbs(place, others)
        others.append(place)
        if on:
            live.rung += 1
            self._go(live)
        else:
            self._end(live, "complete")

    def _end(self, live: Live, state: str) -> None:
        self._live -= 1
        self._ended += 1
        values: tuple[float, ...] = ()
        excess: dict[str, float] = {}
        attributes: dict[str, Any] = {"rungs": live.reached, "why": live.why}
        if state == "complete":
            values = self.objectives.values(live.reached[-1])
            excess = self.objectives.constraints(live.reached[-1]["figures"])
        ended = Told(live.told.number, live.told.point, state, values, excess, attributes)
        self.study.tell(ended)
        self._tell_of(ended)

    def _tell_of(self, ended: Told) -> None:
        if self.on_told:
            self.on_told(ended)

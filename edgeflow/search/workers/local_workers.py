"""Workers that are processes of this machine, with a thread each."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any

_context: Any = None


def connect(address: str, context: Any) -> "Local":
    """Return processes, as many as the address says; default: one."""
    return Local(int(address or 1), context)


class Local:
    """Processes; one that ends takes its own task with it, and another comes in its place."""

    lost: tuple[type[BaseException], ...] = (BrokenProcessPool,)

    def __init__(self, size: int, context: Any) -> None:
        self.size, self._sent = size, context
        # libraries of linear algebra read it when they are loaded
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        self._pools: list[ProcessPoolExecutor | None] = [None] * size
        self._tasks: list[Future[Any] | None] = [None] * size

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call ``function(context, *arguments)`` in a process that has nothing to do."""
        free = next(i for i, task in enumerate(self._tasks) if task is None or task.done())
        last, pool = self._tasks[free], self._pools[free]
        if pool is None or (last is not None and isinstance(last.exception(), BrokenProcessPool)):
            pool = self._new(free)
        try:
            task = pool.submit(_call, function, arguments)
        except BrokenProcessPool:  # it ended while it had nothing to do
            task = self._new(free).submit(_call, function, arguments)
        self._tasks[free] = task
        return task

    def pids(self) -> list[int]:
        """Return the numbers of the processes that are there."""
        return [p for pool in self._pools if pool is not None for p in dict(pool._processes or {})]

    def close(self) -> None:
        """End the processes, whatever they do."""
        for pool in filter(None, self._pools):
            processes = list(dict(pool._processes or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                with contextlib.suppress(OSError, ValueError):
                    process.kill()

    def _new(self, place: int) -> ProcessPoolExecutor:
        old = self._pools[place]
        if old is not None:
            old.shutdown(wait=False)
        pool = ProcessPoolExecutor(
            1, mp_context=get_context("spawn"), initializer=_begin, initargs=(self._sent,)
        )
        self._pools[place] = pool
        return pool


def _begin(context: Any) -> None:
    """Keep the context; end when the driver does, however it ends."""
    global _context
    _context = context
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver's business
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return function(_context, *arguments)

"""The pace of a live session: steps when they are due, to everyone who watches."""

import asyncio
import contextlib
import json
import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from edgeflow.apps.session import FASTEST, SLOWEST, Session
from edgeflow.errors import AppError, EdgeFlowError

_T = TypeVar("_T")

#: Seconds between messages.
TICK = 0.04
#: Seconds without an answer after which the board is said not to answer, and between attempts.
SILENT, RETRY = 1.5, 0.5
#: Seconds that the engine may be asked to compute at once, and most steps.
_SHARE, _MOST = 0.25, 250
#: Seconds behind the schedule after which the rest is not made up for.
_GIVE_UP = 1.0
#: Messages that wait for a page before it is given up: about 20 seconds.
QUEUE = 500


class Player:
    """Steps a session at its pace while somebody watches.

    Parameters
    ----------
    session : Session
    speed : float
        Multiple of the real pace, 1 to 20.

    Raises
    ------
    AppError
        If the speed is outside.
    """

    def __init__(self, session: Session, *, speed: float = 1.0) -> None:
        self.session = session
        self.speed = _speed(speed)
        self.paused = False
        self._watchers: set[asyncio.Queue[str | None]] = set()
        self._wanted: dict[str, Any] = {}
        self._wake = asyncio.Event()
        # one thread: an emulator lives as long as the thread that started it
        self._thread = ThreadPoolExecutor(1, "edgeflow-engine")
        self._lost: str | None = None
        self._each = 0.0  # seconds that a step takes the engine
        self._pace = 0.0
        self._origin, self._base = 0.0, 0

    # ---- watching

    def watch(self) -> asyncio.Queue[str | None]:
        """Return a queue of messages (JSON), the first of which are the hello and the state.

        None in it: whoever reads it was too slow.
        """
        queue: asyncio.Queue[str | None] = asyncio.Queue(QUEUE)
        queue.put_nowait(json.dumps(self.session.hello()))
        queue.put_nowait(json.dumps(self._state()))
        self._watchers.add(queue)
        self._wake.set()
        return queue

    def leave(self, queue: asyncio.Queue[str | None]) -> None:
        """Give up a queue; nothing is stepped while nobody watches."""
        self._watchers.discard(queue)

    def ask(self, message: Mapping[str, Any]) -> None:
        """Take a page's wishes: any of "person", "speed", "paused", "restart", "learn", "forget".

        Raises
        ------
        AppError
            If one cannot be had.
        """
        wanted: dict[str, Any] = {}
        if "person" in message:
            if message["person"] not in self.session.people:
                raise AppError(f"no subject {message['person']!r} is offered")
            wanted["person"] = message["person"]
        if "speed" in message:
            wanted["speed"] = _speed(message["speed"])
        if "learn" in message:
            label = message["learn"]
            if not isinstance(label, int) or isinstance(label, bool):
                raise AppError(f"learn is {label!r}: the number of a class")
            wanted["learn"] = label
        for name in ("paused", "restart", "forget"):
            if name in message:
                if not isinstance(message[name], bool):
                    raise AppError(f"{name} is {message[name]!r}: true or false")
                wanted[name] = message[name]
        self._wanted |= wanted
        self._wake.set()

    def _tell(self, message: Mapping[str, Any]) -> None:
        text = json.dumps(message)
        for queue in list(self._watchers):
            try:
                queue.put_nowait(text)
            except asyncio.QueueFull:
                self.leave(queue)
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(None)

    def _state(self) -> dict[str, Any]:
        session = self.session
        state = "lost" if self._lost is not None else "paused" if self.paused else "running"
        return {
            "type": "state",
            "state": state,
            "text": self._lost or "",
            "session": session.number,
            "person": session.person,
            "speed": self.speed,
            "paused": self.paused,
            "labels": self.session.labels,
        }

    # ---- stepping

    async def open(self) -> None:
        """Start the engine.

        Raises
        ------
        EdgeFlowError
            As `Engine.open`.
        """
        await self._do(self.session.open)

    async def run(self) -> None:
        """Step until cancelled."""
        loop = asyncio.get_running_loop()
        self._begin()
        while True:
            if not self._watchers or (self.paused and not self._wanted):
                self._wake.clear()
                await self._wake.wait()
                self._begin()
            if self._wanted:
                await self._obey()
                continue
            n = self._due(loop.time())
            if n < 1:
                await self._sleep(self._time_of(self.session.done) - loop.time())
                continue
            began = loop.time()
            await self._step(n)
            await self._sleep(began + TICK - loop.time())

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not longer than until something is asked."""
        if self._wanted:
            return
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            # wait_for of Python 3.11 may lose that it was cancelled
            async with asyncio.timeout(max(seconds, 0.001)):
                await self._wake.wait()

    def _begin(self) -> None:
        """Let the next step be due now."""
        self._origin, self._base = asyncio.get_running_loop().time(), self.session.done

    def _time_of(self, step: int) -> float:
        return self._origin + (step + 1 - self._base) / (self.session.rate_hz * self.speed)

    def _due(self, now: float) -> int:
        pace = self.session.rate_hz * self.speed
        due = math.floor((now - self._origin) * pace) + self._base - self.session.done
        if due > _GIVE_UP * pace:
            self._origin, self._base = now - 1 / pace, self.session.done
            due = 1
        most = _MOST if self._each <= 0 else min(_MOST, max(1, int(_SHARE / self._each)))
        return min(due, most)

    async def _step(self, n: int) -> None:
        loop, session = asyncio.get_running_loop(), self.session
        began = loop.time()
        try:
            batch = await self._do(lambda: session.advance(n), watch=True)
        except EdgeFlowError as error:
            await self._recover(error)
            return
        now = loop.time()
        took = (now - began) / n
        self._each = took if self._each == 0 else 0.8 * self._each + 0.2 * took
        if self._lost is not None:
            self._found()
        message = session.message(batch)
        due = self._time_of(session.done - 1)
        message["late_ms"] = round(1000 * max(now - due, 0), 2)
        message["sent_ms"] = round(1000 * loop.time(), 2)
        self._tell(message)

    async def _obey(self) -> None:
        wanted, self._wanted = self._wanted, {}
        self.speed = wanted.get("speed", self.speed)
        self.paused = wanted.get("paused", self.paused)
        refusal = None
        if "person" in wanted:
            try:
                await self._do(lambda: self.session.choose(wanted["person"]))
            except EdgeFlowError as error:
                refusal = str(error)
        elif wanted.get("restart"):
            self.session.restart()
        refusal = await self._teach(wanted) or refusal
        self._begin()
        self._tell(self._state())
        if refusal is not None:
            self._tell({"type": "error", "text": refusal})

    async def _teach(self, wanted: Mapping[str, Any]) -> str | None:
        """Learn a label, or forget all; return why not."""
        try:
            if wanted.get("forget"):
                await self._do(self.session.forget, watch=True)
            if "learn" in wanted:
                await self._do(lambda: self.session.label(wanted["learn"]), watch=True)
        except AppError as error:
            return str(error)
        except EdgeFlowError as error:
            await self._recover(error)
            return "the board was lost before it had learned that: label again"
        if self._lost is not None:
            self._found()
        return None

    async def _recover(self, error: EdgeFlowError) -> None:
        """Open the engine again and again, until it answers."""
        while True:
            self._lose(str(error))
            await asyncio.sleep(RETRY)
            try:
                await self._do(self.session.recover, watch=True)
            except EdgeFlowError as another:
                error = another
                continue
            break
        self._found()

    def _lose(self, why: str) -> None:
        text = f"the board {self.session.engine.name} does not answer; trying again"
        if why:
            text += f" ({why})"
        if text != self._lost:
            self._lost = text
            self._tell(self._state())

    def _found(self) -> None:
        self._lost = None
        self._begin()
        self._tell(self._state())

    async def _do(self, call: Callable[[], _T], *, watch: bool = False) -> _T:
        """Run something in the engine's thread; `watch`: say so if it takes long."""
        task = asyncio.get_running_loop().run_in_executor(self._thread, call)
        while watch:
            done, _ = await asyncio.wait({task}, timeout=SILENT)
            if done:
                break
            if self._lost is None:
                self._lose("")
        return await task

    def close(self) -> None:
        """Let go of the engine."""
        self.session.engine.close()
        self._thread.shutdown(wait=True, cancel_futures=True)


def _speed(value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not SLOWEST <= value <= FASTEST:
        raise AppError(f"speed is {value!r}: choose {SLOWEST:g} to {FASTEST:g}")
    return float(value)

"""Workers of a Ray cluster: a running one, or one that is started on this machine."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from edgeflow.errors import CompressError


def connect(address: str, context: Any) -> "Ray":
    """Return the workers of a cluster: HOST:PORT of its client server, "auto", or so many here.

    Raises
    ------
    CompressError
        If nobody answers.
    """
    where: dict[str, Any] = {"address": f"ray://{address}"}
    if address == "auto":
        where = {"address": "auto"}
    elif address.isdecimal() or not address:
        where = {"num_cpus": int(address or 1), "include_dashboard": False}
    try:
        ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise CompressError(f"--workers ray://{address}: nobody answers ({error})") from None
    return Ray(context)


class _Lost(Exception):
    """A worker of Ray, or its node, is gone."""


class Ray:
    """Workers of a cluster, a core each."""

    lost: tuple[type[BaseException], ...] = (_Lost,)

    def __init__(self, context: Any) -> None:
        # the driver sends again what is lost
        self._call = ray.remote(num_cpus=1, max_retries=0)(_call)
        self._context = ray.put(context)

    @property
    def size(self) -> int:
        """How many tasks run at a time: nodes come and go."""
        return max(1, int(ray.cluster_resources().get("CPU", 1)))

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call ``function(context, *arguments)`` on a worker."""
        told: Future[Any] = Future()

        def end(done: Future[Any]) -> None:
            error = done.exception()
            if error is None:
                told.set_result(done.result())
            elif isinstance(error, RayTaskError):
                told.set_exception(getattr(error, "cause", None) or error)
            elif isinstance(error, RayError):
                told.set_exception(_Lost(str(error).splitlines()[0]))
            else:
                told.set_exception(error)

        self._call.remote(self._context, function, arguments).future().add_done_callback(end)
        return told

    def close(self) -> None:
        """Leave the cluster; end one that was started here."""
        ray.shutdown()


def _call(context: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return function(context, *arguments)

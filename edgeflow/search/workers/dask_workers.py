"""Workers of a Dask cluster: its scheduler is at an address, or one is started on this machine."""

from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any

from distributed import Client, KilledWorker, LocalCluster, WorkerPlugin, get_worker

from edgeflow.errors import CompressError

_NAME = "edgeflow-context"
#: Tasks that are waited for at a time.
_MOST = 256


class _Context(WorkerPlugin):
    """Gives the context to each worker, those that come later too."""

    def __init__(self, context: Any) -> None:
        self.context = context


def connect(address: str, context: Any) -> "Dask":
    """Return the workers of a scheduler, HOST:PORT; of a number, or none, start so many here.

    Raises
    ------
    CompressError
        If there is none, or workers have several threads.
    """
    cluster = None
    if address.isdecimal() or not address:
        cluster = LocalCluster(
            n_workers=int(address or 1), threads_per_worker=1, processes=True,
            dashboard_address=None,
        )  # fmt: skip
    try:
        client = Client(cluster or f"tcp://{address}", timeout=30)
        client.wait_for_workers(1, timeout=60)
    except (OSError, TimeoutError) as error:
        raise CompressError(f"--workers dask://{address}: nobody answers ({error})") from None
    return Dask(client, cluster, context)


class Dask:
    """Workers of a cluster."""

    lost: tuple[type[BaseException], ...] = (KilledWorker, CancelledError)

    def __init__(self, client: Any, cluster: Any, context: Any) -> None:
        self._client, self._cluster = client, cluster
        if any(threads != 1 for threads in client.nthreads().values()):
            # trainings seed the generators of their process
            raise CompressError("--workers: Dask's workers need a thread each: --nthreads 1")
        client.register_plugin(_Context(context), name=_NAME)
        # futures of Dask's own executor never end if a worker dies with a result not yet fetched
        self._threads = ThreadPoolExecutor(_MOST)

    @property
    def size(self) -> int:
        """How many tasks run at a time: workers come and go."""
        return max(1, len(self._client.nthreads()))

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call ``function(context, *arguments)`` on a worker."""
        return self._threads.submit(self._result, function, arguments)

    def _result(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        return self._client.submit(_call, function, arguments, pure=False, retries=0).result()

    def close(self) -> None:
        """Leave the cluster; end one that was started here."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close(timeout=5)
        if self._cluster is not None:
            self._cluster.close(timeout=5)


def _call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    plugin: Any = get_worker().plugins[_NAME]
    return function(plugin.context, *arguments)

"""Workers: who evaluates candidates, in other processes or on other machines.

A kind is a module with ``connect(address, context) -> Workers``; `--workers` names it, with an
address after a colon: ``local:2``, ``ray://head:10001``, ``dask://scheduler:8786``.
"""

import re
from collections.abc import Callable
from concurrent.futures import Future
from importlib import import_module
from typing import Any, Protocol

from edgeflow.errors import CompressError

#: Modules by name, and the package that each needs.
KINDS = {"local": None, "ray": "ray", "dask": "distributed"}


class Workers(Protocol):
    """Workers that evaluate.

    Attributes
    ----------
    size : int
        How many tasks run at a time; no more are submitted.
    lost : tuple of exception types
        Those of a future whose worker is gone: the task may be submitted again.
    """

    size: int
    lost: tuple[type[BaseException], ...]

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call ``function(context, *arguments)`` on a worker."""

    def close(self) -> None:
        """Let the workers go."""


def open_workers(text: str, context: Any) -> Workers:
    """Return workers, which have the context once and for all.

    Parameters
    ----------
    text : str
        Kind and address: ``local:2``.
    context : object
        First argument of all functions that are submitted.

    Raises
    ------
    CompressError
        If there is no such kind, its package is missing, or nobody answers.
    """
    kind, address = parse_workers(text)
    try:
        module = import_module(f"edgeflow.search.workers.{kind}_workers")
    except ModuleNotFoundError as error:
        if error.name != KINDS[kind]:
            raise
        raise CompressError(
            f"--workers {text}: {kind} is not installed: pip install 'edgeflow[{kind}]'"
        ) from None
    found: Workers = module.connect(address, context)
    return found


def parse_workers(text: str) -> tuple[str, str]:
    """Return kind and address of a text like ``local:2`` or ``ray://head:10001``."""
    match = re.fullmatch(r"(\w+)(?::(?://)?(.*))?", text)
    kind, address = (match[1], match[2] or "") if match else ("", "")
    if kind not in KINDS:
        raise CompressError(
            f"--workers {text}: use local:2, ray://head:10001 or dask://scheduler:8786"
        )
    if kind == "local" and not re.fullmatch(r"([1-9]\d{0,2})?", address):
        raise CompressError(f"--workers {text}: give a number of processes, like local:2")
    return kind, address

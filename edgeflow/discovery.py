"""Registries by folder: the modules of a package."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType


def modules_of(path: Iterable[str], package: str) -> Iterator[ModuleType]:
    """Import the modules in a package's folders, sorted by name; yield each.

    Parameters
    ----------
    path : iterable of str
        The package's ``__path__``.
    package : str
        Its name.
    """
    for name in sorted(module.name for module in iter_modules(path)):
        yield import_module(f"{package}.{name}")

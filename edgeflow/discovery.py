"""Registries by folder: the modules of a package, and classes in them."""

import inspect
from collections.abc import Iterable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any


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


def classes_of(path: Iterable[str], package: str, base: Any) -> Iterator[Any]:
    """Yield the sub-classes of `base` that the modules of a package define, abstract ones apart.

    Parameters
    ----------
    path, package
        As for `modules_of`.
    base : type
        It may be abstract.
    """
    for module in modules_of(path, package):
        for _, found in inspect.getmembers(module, inspect.isclass):
            own = issubclass(found, base) and found.__module__ == module.__name__
            if own and not inspect.isabstract(found):
                yield found

"""Measuring a build on its board: counts, models of cycles and energy, sizes, report."""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeflow.profile.result import ProfileResult


class _Callable(ModuleType):
    """Lets ``edgeflow.profile`` be :func:`edgeflow.profile.run.profile` and the package at once."""

    def __call__(self, *args: Any, **kwargs: Any) -> "ProfileResult":
        from edgeflow.profile.run import profile

        return profile(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable

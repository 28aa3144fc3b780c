"""The global names of a library, which begin with its prefix."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """Names in C.

    Parameters
    ----------
    prefix : str
        Of functions and types; in capitals, of macros.
    own : str
        Before the names of kernels: nothing, or the prefix where other libraries have the same.
    """

    prefix: str
    own: str = ""

    @property
    def type(self) -> str:
        return f"{self.prefix}_t"

    def function(self, name: str) -> str:
        return f"{self.prefix}_{name}"

    def macro(self, name: str) -> str:
        return f"{self.prefix.upper()}_{name}"

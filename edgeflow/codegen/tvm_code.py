"""What TVM wrote for a program, as C sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class StepCode:
    """A layer's step as a C function.

    Parameters
    ----------
    layer, symbol : str
    arguments : tuple of (kind, name)
        Kinds: "matrix", "array", "table", "state", "x", "y", "scratch".
    c_types : tuple of str
        Of each argument.
    scratch : int
        Bytes of working memory.
    """

    layer: str
    symbol: str
    arguments: tuple[tuple[str, str], ...]
    c_types: tuple[str, ...]
    scratch: int

    @property
    def prototype(self) -> str:
        return f"void {self.symbol}({', '.join(self.c_types)});"

    def reads(self, kind: str, name: str) -> bool:
        """Tell whether an argument is among those of the function."""
        return (kind, name) in self.arguments

    def call(self, x: str, y: str, states: Mapping[str, str], scratch: str) -> str:
        """Return the C statement of a step, given C expressions of what is in ``model_t``."""
        given = {"x": x, "y": y, "scratch": scratch}
        values = []
        for kind, name in self.arguments:
            constants = {"matrix": f"&{self.layer}_{name}", "array": f"{self.layer}_{name}"}
            constants |= {"table": f"ef_table_{name}"}
            value = states[name] if kind == "state" else constants.get(kind) or given[kind]
            values.append(value)
        return f"{self.symbol}({', '.join(values)});"


@dataclass(frozen=True)
class TvmCode:
    """A source file.

    Parameters
    ----------
    file, text : str
        Both empty if there is nothing in it.
    steps : mapping
        Of layers, by name.
    """

    file: str = ""
    text: str = ""
    steps: Mapping[str, StepCode] = field(default_factory=dict)

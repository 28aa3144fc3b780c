"""A list of boards that shows itself as a table."""

from edgeflow.notebook import html_table
from edgeflow.targets.board import BoardSpec

_HEADER = ("board", "core", "what", "flash", "RAM")


class BoardList(list[BoardSpec]):
    """Boards, in the order of their cores."""

    @property
    def names(self) -> list[str]:
        """Names that `edgeflow.compile` takes."""
        return [board.name for board in self]

    def __repr__(self) -> str:
        rows = [_HEADER, *map(_row, self)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = (
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
            for row in rows
        )
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        return html_table("Boards", _HEADER, [_row(board) for board in self])


def memory_text(size: int | None) -> str:
    """Return the size of a memory for a table."""
    if size is None:
        return "-"
    return f"{size >> 20} MB" if size >= 1 << 20 else f"{size >> 10} kB"


def _row(board: BoardSpec) -> tuple[str, ...]:
    flash, ram = (board.memory.get(name) for name in ("flash", "ram"))
    sizes = (memory_text(None if region is None else region.size) for region in (flash, ram))
    return board.name, board.core.name, board.description, *sizes

"""Names out of files, as messages show them."""

from collections.abc import Iterable

_MOST = 12
_LONGEST = 40


def shown(name: object) -> str:
    """Return a name or cell without control characters, cut after 40 characters."""
    text = "".join(c if c.isprintable() else "?" for c in str(name)[: _LONGEST + 1])
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def listed(names: Iterable[object], most: int = _MOST) -> str:
    """Return names separated by commas; of more than `most`, the first ones and how many."""
    every = list(names)
    text = ", ".join(_told_apart(shown(name)) for name in every[:most])
    return text if len(every) <= most else f"{text}, … ({len(every)})"


def _told_apart(name: str) -> str:
    return f"'{name}'" if "," in name else name

"""Names of classes and channels."""

from collections.abc import Iterable


def same_name(names: Iterable[object]) -> str | None:
    """Return the first name that is there twice; blanks at its ends do not tell names apart."""
    known: set[str] = set()
    for name in names:
        text = str(name).strip()
        if text in known:
            return text
        known.add(text)
    return None

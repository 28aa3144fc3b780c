"""What a program says of itself: names are texts, and metadata of known keys have their types."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgeflow.errors import ProgramError

#: Types of metadata by key; of other keys any JSON value will do.
_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("data", "source", "split"), str),
    **dict.fromkeys(("notes", "units", "counts_per_unit"), (list, tuple)),
    **dict.fromkeys(("fired", "spikes", "saturation", "warmup", "cutoff", "task"), Mapping),
    **dict.fromkeys(("windows", "warmup_samples"), int),
}
#: Of those, the ones whose values are shares, and texts.
_SHARES, _TEXTS = ("fired", "saturation"), ("notes", "units")


def check_names(what: str, names: Sequence[Any]) -> None:
    """Raise a ProgramError if a name is no text that a file can hold."""
    for name in names:
        if not _is_text(name):
            raise ProgramError(f"{what}: {name!r} is no text that can be written")


def check_metadata(metadata: Any) -> None:
    """Raise a ProgramError that names the first entry of another type than it must have."""
    if not isinstance(metadata, Mapping):
        raise ProgramError("metadata must be a mapping")
    for key, value in metadata.items():
        kind = _KINDS.get(key, object)
        fits = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
        if fits and key in _SHARES:
            fits = all(isinstance(share, int | float) for share in value.values())
        if fits and key in _TEXTS:
            fits = all(map(_is_text, value))
        if not fits:
            raise ProgramError(f"metadata: '{key}' is of another type than it must be")


def _is_text(value: Any) -> bool:
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:  # half of a pair
        return False

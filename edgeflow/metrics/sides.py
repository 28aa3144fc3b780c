"""Scores before and after compression, side by side as "float" and "int"."""

from collections.abc import Mapping
from typing import Any


def side_by_side(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the values of each kind by entry, also of the entries of entries.

    Parameters
    ----------
    found : mapping
        Equal entries by kind: ``{"float": {"mcc": 0.5}, "int": {"mcc": 0.4}}`` becomes
        ``{"mcc": {"float": 0.5, "int": 0.4}}``.
    """
    first = next(iter(found.values()))
    pairs = {key: {kind: one[key] for kind, one in found.items()} for key in first}
    return {
        key: side_by_side(pair) if isinstance(first[key], Mapping) else pair
        for key, pair in pairs.items()
    }


def one_side(pairs: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the values of one kind, of what `side_by_side` made; other entries are left out."""
    return {
        name: one[kind] if kind in one else one_side(one, kind)
        for name, one in pairs.items()
        if isinstance(one, Mapping)
    }

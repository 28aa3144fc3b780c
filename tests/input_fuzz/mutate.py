"""Mutations of bytes, text, and values such as JSON's; each takes a generator of numbers."""

import copy
import datetime
import json
import math
import re
import tomllib
from collections.abc import Callable
from typing import Any

import numpy as np

Rng = np.random.Generator
#: Texts that have a meaning of their own somewhere, or none that was thought of.
TOKENS = (
    "", " ", "0", "-0", "1", "-1", "0.5", "1e999", "-1e999", "1e-999", "NaN", "nan", "inf",
    "-Infinity", "null", "true", "None", "0x10", "1_000", "1,5", "1.000,5", "９", "١", "9" * 30,
    "9" * 5000, "-9223372036854775809", "18446744073709551616", "4294967296", "2147483648", '"',
    "'", '""', '"a;b"', "a,b", ",", ";", "\t", "|", "\0", "\r", "\n", "\r\n", "\ufeff", "\x1b[31m",
    "\x7f", "é", "\u2028", "\ud7ff", "#", "# rate_hz: 50", "# rate_hz: 0", "# window: -1",
    "2024-01-01T00:00:00Z", "2024-13-45", "99999-01-01", "12:34:56", "x" * 400, "x" * 70000,
    "[", "]", "{", "}", "[[", "=", "\\", "../", "/dev/zero", "%s", "{0}", "__class__",
    "1e308", "5e-324", "1e40", "0" * 400 + "1", "time", "label", "person", "recording",
)  # fmt: skip
NUMBERS = (
    *(0, 1, -1, 2, 3, 7, 8, 127, 255, 256, 65535, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53),
    *(2**62, 2**63 - 1, -(2**63), 2**64, 10**30, 0.0, -0.0, 0.5, -1.5, 1e-300, 1e40, 1e308),
    *(float("inf"), float("-inf"), float("nan")),
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def pick(rng: Rng, values: Any) -> Any:
    """Return one of a sequence's values, as it is."""
    return values[int(rng.integers(len(values)))]


def damaged_bytes(rng: Rng, content: bytes) -> bytes:
    """Return a content with bits flipped, or blocks cut, copied, put in or written over."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        if not data:
            break
        start = int(rng.integers(len(data)))
        size = int(rng.integers(1, pick(rng, (2, 9, 300))))
        block = data[start : start + size]
        kind = int(rng.integers(8))
        if kind == 0:
            data[start] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[start : start + size] = rng.bytes(len(block))
        elif kind == 2:
            del data[start:]
        elif kind == 3:
            del data[start : start + size]
        elif kind == 4:
            data[start:start] = block * int(rng.integers(1, 4))
        elif kind == 5:
            place = int(rng.integers(len(data)))
            data[place : place + size] = block
        elif kind == 6:
            data[start:start] = rng.bytes(size)
        else:
            value = pick(rng, (0, 1, 0x7F, 0xFF, 0x80))
            data[start : start + size] = bytes([value]) * len(block)
    return bytes(data)


def damaged_text(rng: Rng, content: bytes) -> bytes:
    """Return a text with tokens, lines or separators changed; one of ten is damaged as bytes."""
    if rng.integers(10) == 0:
        return damaged_bytes(rng, content)
    text = content.decode()
    for _ in range(int(rng.integers(1, 4))):
        lines = text.split("\n")
        row = int(rng.integers(min(len(lines), pick(rng, (3, 8, 1000)))))
        kind = int(rng.integers(9))
        if kind == 0:
            place = int(rng.integers(len(text) + 1))
            text = text[:place] + pick(rng, TOKENS) + text[place:]
            continue
        if kind == 1:
            old, new = (pick(rng, (",", ";", "\t", "|", " ", ".", "\n", "\r\n", '"')) for _ in "12")
            text = text.replace(old, new)
            continue
        if kind == 2:
            del lines[row]
        elif kind == 3:
            lines.insert(row, lines[int(rng.integers(len(lines)))])
        elif kind == 4:
            lines[row] += pick(rng, (",", ",,", ",1", ' "', "\\"))
        elif kind == 5:
            cells = lines[row].split(",")
            cells[int(rng.integers(len(cells)))] = pick(rng, TOKENS)
            lines[row] = ",".join(cells)
        elif kind == 6:  # the same cell of every line
            column, token = int(rng.integers(8)), pick(rng, TOKENS)
            table = [line.split(",") for line in lines]
            for cells in table[int(rng.integers(2)) :]:
                if column < len(cells):
                    cells[column] = token
            lines = [",".join(cells) for cells in table]
        else:
            found = [*_NUMBER.finditer(lines[row])] or [*re.finditer(r"\w+", lines[row])]
            if found:
                match = pick(rng, found)
                token = pick(rng, TOKENS) if kind == 7 else str(pick(rng, NUMBERS))
                lines[row] = lines[row][: match.start()] + token + lines[row][match.end() :]
        text = "\n".join(lines)
    if rng.integers(20) == 0:
        return text.encode(pick(rng, ("utf-16", "utf-8-sig", "utf-32")), "replace")
    return text.encode("utf-8", "replace")


def other_leaf(rng: Rng) -> Any:
    """Return a value of JSON that stands where none was thought of."""
    kind = int(rng.integers(6))
    if kind == 0:
        return pick(rng, TOKENS)
    if kind in (1, 2):
        return pick(rng, NUMBERS)
    if kind == 3:
        return pick(rng, (None, True, False))
    if kind == 4:
        return pick(rng, ([], {}, [[]], [None], {"": 1}, [1, "a"], {"a": {"a": {}}}))
    return deep(int(pick(rng, (3, 50, 400))))


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def damaged_value(rng: Rng, value: Any, leaf: Callable[[Rng], Any] = other_leaf) -> Any:
    """Return a copy of a nest of lists and dictionaries with one to three parts changed."""
    holder = {"": copy.deepcopy(value)}
    for _ in range(int(pick(rng, (1, 1, 2, 3)))):
        owner, key = _place(rng, holder)
        here, kind = owner[key], int(rng.integers(7))
        top = owner is holder and rng.integers(8)
        if top and not isinstance(here, dict | list):
            continue
        if kind == 0 and not top:
            del owner[key]
            if not holder:
                return leaf(rng)
        elif kind == 1 and isinstance(owner, dict) and not top:
            owner[leaf_name(rng, owner)] = owner.pop(key)
        elif kind == 2 and isinstance(owner, list):
            owner.insert(key, copy.deepcopy(here))
        elif kind == 3 and not top:  # a part from another place
            other, name = _place(rng, holder)
            owner[key] = copy.deepcopy(other[name])
        elif kind == 4 and isinstance(here, int | float) and not isinstance(here, bool):
            owner[key] = pick(rng, (here + 1, here - 1, -here, here * 2, float(here), str(here)))
        elif not top:
            owner[key] = leaf(rng)
        if "" not in holder:
            return leaf(rng)
    return holder[""]


def leaf_name(rng: Rng, owner: dict[Any, Any]) -> str:
    return str(pick(rng, (*TOKENS, *owner)))


def _place(rng: Rng, holder: Any) -> tuple[Any, Any]:
    owner, key = holder, ""
    while isinstance(owner[key], dict | list) and owner[key] and rng.integers(10):
        owner = owner[key]
        key = pick(rng, list(owner) if isinstance(owner, dict) else range(len(owner)))
    return owner, key


def damaged_toml(rng: Rng, content: bytes) -> bytes:
    """Return TOML with other values, tables and types; half of them are damaged as text."""
    if rng.integers(2):
        return damaged_text(rng, content)
    value = damaged_value(rng, tomllib.loads(content.decode()), _toml_leaf)
    return _toml(value if isinstance(value, dict) else {"a": value}).encode("utf-8", "replace")


def _toml_leaf(rng: Rng) -> Any:
    times = (datetime.date(2024, 2, 29), datetime.datetime(1, 1, 1), datetime.time(23, 59))
    return pick(rng, times) if rng.integers(9) == 0 else other_leaf(rng)


def _toml(value: dict[Any, Any]) -> str:
    return "\n".join(f"{json.dumps(str(key))} = {_toml_value(v)}" for key, v in value.items())


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(str(key))} = {_toml_value(v)}" for key, v in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return {"inf": "inf", "-inf": "-inf"}.get(str(value), "nan")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return json.dumps(value) if value is not None else '""'


def damaged_json(rng: Rng, content: bytes) -> bytes:
    """Return JSON of a changed value; of ten, two are damaged as text, one has a key twice."""
    kind = int(rng.integers(10))
    if kind < 2:
        return damaged_text(rng, content)
    text = json.dumps(damaged_value(rng, json.loads(content)))
    if kind == 2 and text.startswith("{"):
        text = f'{{"{pick(rng, list(json.loads(content)))}": 1, {text[1:]}'
    return text.encode()

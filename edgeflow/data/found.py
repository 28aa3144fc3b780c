"""Recordings as a file of your own holds them, before they are checked and split."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from edgeflow.data.dataset import Recording
from edgeflow.data.people import Split
from edgeflow.data.wording import listed, shown
from edgeflow.errors import DataError
from edgeflow.tasks import Regression, Task

_WHOLE = re.compile(r"[+-]?\d{1,15}(\.0{0,15})?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MOST_FRACTIONS = 20


@dataclass
class Found:
    """Content of a file or folder; `where` names each recording in messages.

    Attributes
    ----------
    declared : bool
        The file states the order of the classes.
    rate_hz : float or None
        As stated.
    measured_hz : float or None
        As a clock says.
    target : Task or None
        Of the targets of each step, if there are any.
    counts : list of float
        Counts of the sensor of one unit of each channel; []: not known.
    """

    recordings: list[Recording] = field(default_factory=list)
    where: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    declared: bool = False
    channels: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    rate_hz: float | None = None
    measured_hz: float | None = None
    window: int | None = None
    people: Split | None = None
    notes: list[str] = field(default_factory=list)
    target: Task | None = None
    counts: list[float] = field(default_factory=list)


def regression_of(values: Sequence[tuple[str, str]]) -> Regression:
    """Return the task of targets of each step, of these names and units."""
    names, units = zip(*values, strict=True)
    return Regression(names, units, steps=True)


def ordered_classes(where: str, labels: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return the classes of labels, whole numbers by value, and the class of each label.

    Raises
    ------
    DataError
        If labels are numbers with fractions, too many for classes.
    """
    texts = sorted(set(labels))
    if texts and all(_WHOLE.fullmatch(text) for text in texts):
        # a table with gaps has 1.0 for 1
        numbers = sorted({int(text.partition(".")[0]) for text in texts})
        padded = {int(t): t for t in texts if "." not in t}
        plain = len(padded) == len(texts)
        names = {n: padded[n] if plain else str(n) for n in numbers}
        order = {n: i for i, n in enumerate(numbers)}
        return list(names.values()), [order[int(t.partition(".")[0])] for t in labels]
    if all(_NUMBER.fullmatch(text) for text in texts):
        if len(texts) > _MOST_FRACTIONS:
            raise DataError(
                f"{where}: the labels are {len(texts)} different numbers with fractions "
                f"({listed(texts, 3)}): labels are classes; name the column of these with "
                "--columns label=NAME"
            )
        texts.sort(key=float)
    order_ = {text: i for i, text in enumerate(texts)}
    return texts, [order_[text] for text in labels]


def alike(what: str, names: Sequence[str]) -> str | None:
    """Return a note about names that differ in case, spaces or how a number is written only."""
    seen: dict[str, str] = {}
    for name in names:
        plain = "".join(name.split()).casefold()
        if _WHOLE.fullmatch(plain):
            plain = str(int(plain.partition(".")[0]))
        if plain in seen:
            way = "how the number is written" if _WHOLE.fullmatch(name) else "case or spaces"
            return (
                f"the {what} '{shown(seen[plain])}' and '{shown(name)}' differ in {way} only, and "
                "are two"
            )
        seen[plain] = name
    return None

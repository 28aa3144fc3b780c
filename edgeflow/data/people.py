"""Subject-independent splits into training, validation and test, never by window."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeflow.data.dataset import SPLITS, sort_people
from edgeflow.data.wording import listed
from edgeflow.errors import DataError

Split = dict[str, list[str]]

_FORM = '{"train": [...], "val": [...], "test": [...]}'


def fixed_split(
    name: str, there: Sequence[str], val: Sequence[str], test: Sequence[str], where: Path
) -> Split:
    """Apply a data set's published split to the subjects that are there; all others train.

    Raises
    ------
    DataError
        If none of the test subjects is there.
    """
    split = {
        "train": [p for p in there if p not in val and p not in test],
        "val": [p for p in there if p in val],
        "test": [p for p in there if p in test],
    }
    if not split["test"]:
        raise DataError(
            f"{where}: none of the test subjects of '{name}' ({', '.join(test)}) is there, only "
            f"{', '.join(there)}: divide these with --people FILE (JSON {_FORM})"
        )
    return split


def default_split(there: Sequence[str], where: Path) -> Split:
    """Divide subjects 60/20/20 in sorted order, with at least one in each split.

    Raises
    ------
    DataError
        With fewer than three subjects.
    """
    people = sort_people(list(there))
    if len(people) < 3:
        raise DataError(
            f"{where}: {len(people)} subjects ({listed(people)}), and a split by subject needs "
            "at least 3 (train, val, test): add recordings of other subjects"
        )
    held = max(1, round(len(people) * 0.2))
    cut = len(people) - 2 * held
    return {"train": people[:cut], "val": people[cut : cut + held], "test": people[cut + held :]}


def read_people(path: str | Path) -> Split:
    """Read a split from a JSON file.

    Raises
    ------
    DataError
        If the file is missing or not of the form ``{"train": [...], "val": [...], "test": [...]}``.
    """
    path = Path(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}: give a JSON file {_FORM}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error}): write {_FORM}") from None
    return check_people(value, str(path))


def check_people(value: Any, where: str) -> Split:
    """Return `value` as a split.

    Raises
    ------
    DataError
        If a key is missing or unknown, a list is not one of names or numbers, or somebody is
        in two splits.
    """
    if not isinstance(value, Mapping):
        raise DataError(f"{where}: must be a JSON object {_FORM}")
    unknown = [key for key in value if key not in SPLITS]
    missing = [key for key in SPLITS if key not in value]
    if unknown or missing:
        wrong = f"unknown key '{unknown[0]}'" if unknown else f"no key '{missing[0]}'"
        raise DataError(f"{where}: {wrong}: the form is {_FORM}")
    split: Split = {}
    seen: dict[str, str] = {}
    for key in SPLITS:
        names = value[key]
        if not isinstance(names, list | tuple) or not all(
            isinstance(n, str | int) and not isinstance(n, bool) for n in names
        ):
            raise DataError(f"{where}: '{key}' must be a list of names or whole numbers")
        split[key] = [str(n) for n in names]
        for name in split[key]:
            if name in seen:
                raise DataError(
                    f"{where}: subject '{name}' is in '{seen[name]}' and again in '{key}': "
                    "each subject belongs to one split"
                )
            seen[name] = key
    return split


def apply_people(split: Split, there: Sequence[str], where: Path) -> Split:
    """Check that everybody named in `split` is there.

    Raises
    ------
    DataError
        Naming the missing subjects, and who is there.
    """
    missing = [p for names in split.values() for p in names if p not in set(there)]
    if missing:
        raise DataError(
            f"{where}: no recordings of {listed(missing)}; there are {listed(there, 60)}: "
            "name only these in the people file"
        )
    return split

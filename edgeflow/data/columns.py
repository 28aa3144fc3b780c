"""What the columns of a table are: person, recording, label, tag, time, target, or a channel."""

import difflib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from edgeflow.data.dialect import is_number
from edgeflow.data.reading import ROLES, Reading
from edgeflow.data.wording import listed, shown
from edgeflow.errors import DataError

#: Names by which other tools call what we know by another; the message proposes them.
ALIASES = {
    "person": (
        "subject", "subject_id", "subjectid", "subj", "user", "user_id", "userid", "participant",
        "participant_id", "patient", "person_id", "who", "name", "id",
    ),
    "label": (
        "activity", "activity_id", "class", "class_id", "target", "category", "gesture", "labels",
        "event", "y",
    ),
    "recording": (
        "session", "session_id", "trial", "trial_id", "recording_id", "segment", "sequence",
        "series", "series_id", "experiment", "take", "rep", "run", "file",
    ),
    "tag": ("tags", "annotation", "annotations"),
}  # fmt: skip
#: Names of clocks, in small letters, with the unit that the name says.
CLOCKS = {
    "time": None, "timestamp": None, "timestamps": None, "t": None, "ts": None, "datetime": None,
    "date_time": None, "epoch": None, "elapsed": None, "clock": None, "date": None,
    "time_stamp": None, "unix": None, "unixtime": None, "unix_time": None, "elapsed_time": None,
    "sample_time": None, "utc": None, "µs": "us", "μs": "us",
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "seconds_elapsed": "s",
    "ms": "ms", "msec": "ms", "millis": "ms", "milliseconds": "ms", "us": "us", "usec": "us",
    "micros": "us", "microseconds": "us", "ns": "ns", "nanos": "ns", "nanoseconds": "ns",
}  # fmt: skip
#: Clocks that a channel could be named like, too.
WEAK = {"t", "s", "ts", "ms", "us", "ns", "sec", "date", "clock", "elapsed", "second"}
#: How names of columns of targets begin, and a unit at the end of such a name.
TARGET, _UNIT = "target_", re.compile(r"\s*[\[(](.*)[\])]$")
_INDEX = re.compile(r"|index|idx|row|row_?id|row_?number|level_0|unnamed: ?\d+(_level_\d+)?")
KNOWN = (*ROLES, *(name for names in ALIASES.values() for name in names), "time", "timestamp")


@dataclass(frozen=True)
class Roles:
    """Columns by what they are.

    Attributes
    ----------
    person, recording, label, tag, time : str or None
        The tag is the class of each step.
    unit : str or None
        Of the time, if the column's name says it.
    told : bool
        The time column was named by the user.
    channels : list of str
    notes : tuple of str
    targets : tuple of str
        Targets of each step.
    """

    person: str | None
    recording: str | None
    label: str | None
    tag: str | None
    time: str | None
    unit: str | None
    told: bool
    channels: list[str]
    notes: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()

    @property
    def text(self) -> list[str]:
        """The columns that are names, not numbers."""
        names = (self.person, self.recording, self.label, self.tag)
        return [name for name in names if name is not None]

    @property
    def numbers(self) -> list[str]:
        """The columns that are numbers: channels, targets, and the time if it is no channel."""
        more = [self.time] if self.time and self.time not in self.channels else []
        return [*self.channels, *self.targets, *more]


def find_roles(
    where: str, names: Sequence[str], reading: Reading, elsewhere: Collection[str] = ()
) -> Roles:
    """Return what each column is.

    Parameters
    ----------
    where : str
        File and line, for messages.
    elsewhere : collection of str
        What is known without a column, from the file's path.

    Raises
    ------
    DataError
        If a column is missing, named twice, or no channel is left.
    """
    notes: list[str] = []
    chosen: dict[str, str | None] = {}
    for role in ROLES:
        chosen[role] = _column(where, role, names, reading, notes)
        if role in elsewhere and role in reading.columns:
            raise DataError(
                f"{where}: --columns and --pattern both say what the {role} is: leave out one"
            )
        if role in elsewhere and chosen[role] is not None:
            raise DataError(
                f"{where}: the {role} is in the column '{shown(chosen[role])}' and in --pattern: "
                "write * in the pattern for that part"
            )
    missing = [role for role in ("person", "label") if chosen[role] is None]
    missing = [role for role in missing if role not in elsewhere]
    targets = [name for name in names if name.lower().startswith(TARGET)]
    targets = [name for name in targets if name not in (*chosen.values(), *reading.channels)]
    if targets and chosen["tag"] is not None:
        raise DataError(
            f"{where}: '{shown(targets[0])}' is a value to learn, '{shown(chosen['tag'])}' a class "
            "of each sample: a model learns one of them; leave out the other column"
        )
    if (targets or chosen["tag"] is not None) and "label" in missing:
        missing.remove("label")
    if missing:
        raise DataError(_missing(where, missing, names))
    unit = None
    told = chosen["time"] is not None and "time" in reading.columns
    if chosen["time"] is None:
        clocks = [name for name in names if clock_unit(name) is not None]
        clocks.sort(key=lambda name: name.lower() not in ("time", "timestamp"))
        chosen["time"] = clocks[0] if clocks else None
    if chosen["time"] is not None:
        unit = clock_unit(chosen["time"]) or None
    taken = {name for name in chosen.values() if name is not None}
    if reading.channels:
        channels = list(reading.channels)
        if absent := [name for name in channels if name not in names]:
            raise DataError(
                f"{where}: no column '{shown(absent[0])}' for --channels"
                f"{_near(absent[0], names)}; there are {listed(names)}"
            )
        if wrong := [name for name in channels if name in taken - {chosen["time"]}]:
            raise DataError(
                f"{where}: --channels names '{shown(wrong[0])}', which is no channel but says "
                "whose samples they are, or what"
            )
        if chosen["time"] in channels and not told:
            chosen["time"] = unit = None
    else:
        rest = [name for name in names if name not in taken and name not in targets]
        channels = [name for name in rest if not _INDEX.fullmatch(name.lower())]
        if left := [name for name in rest if name not in channels]:
            what = ", ".join(f"'{shown(name)}'" if name else "one without a name" for name in left)
            notes.append(f"left out as no channel, an index by its name: {what}")
    twice = [n for n in (*taken, *channels, *targets) if list(names).count(n) > 1]
    if twice:
        raise DataError(
            f"{where}: the header must name each column once; '{shown(twice[0])}' is there "
            f"{list(names).count(twice[0])} times"
        )
    if not channels:
        raise DataError(
            f"{where}: no channels: each column is a name or the time ({listed(names)})"
        )
    return Roles(
        **chosen, unit=unit, told=told, channels=channels, notes=tuple(notes),
        targets=tuple(targets),
    )  # fmt: skip


def target_of(column: str) -> tuple[str, str]:
    """Return name and unit of a target: ``target_force [N]`` is force in N."""
    name = column[len(TARGET) :]
    unit = _UNIT.search(name)
    return (name, "") if unit is None else (name[: unit.start()], unit[1].strip())


def clock_unit(name: str) -> str | None:
    """Return the unit that a clock's name says, "" if it says none; None: no clock's name."""
    plain = re.sub(r"[\s(\[)\]]+", "_", name.strip().lower()).strip("_")
    if plain in CLOCKS:
        return CLOCKS[plain] or ""
    stem, _, unit = plain.rpartition("_")
    if unit in CLOCKS and CLOCKS[unit] and stem in CLOCKS:
        return CLOCKS[unit]
    return None


def _column(
    where: str, role: str, names: Sequence[str], reading: Reading, notes: list[str]
) -> str | None:
    wanted = reading.columns.get(role)
    if wanted is not None:
        if wanted not in names:
            raise DataError(
                f"{where}: no column '{shown(wanted)}' for --columns {role}={shown(wanted)}"
                f"{_near(wanted, names)}; there are {listed(names)}"
            )
        return wanted
    if role in names:
        return role
    alike = [name for name in names if name.strip().lower() == role]
    if len(alike) == 1 and role != "time" and alike[0] not in reading.channels:
        notes.append(f"the column '{shown(alike[0])}' is taken for '{role}'")
        return alike[0]
    return None


def _missing(where: str, roles: list[str], names: Sequence[str]) -> str:
    numbers = [name for name in names if is_number(name)]
    if 2 * len(numbers) > len(names) or any("." in name for name in numbers):
        return (
            f"{where}: samples, not the columns' names ({listed(names, 6)}): put a line such as "
            "person,recording,label,ax,ay,az before them"
        )
    told = []
    for role in roles:
        alias = next(iter(aliases(role, names)), role.upper())
        told.append(f"{role}={shown(alias)}")
    which = " and ".join(f"'{role}'" for role in roles)
    return (
        f"{where}: no column {which}; there are {listed(names)}: name the column with --columns "
        f"{','.join(told)}, or, of a folder, the part of the path with --pattern"
    )


def aliases(role: str, names: Sequence[str]) -> list[str]:
    """Return the columns that other tools call so, the likeliest first."""
    known = {name.lower().replace(" ", "_"): name for name in reversed(names)}
    if "x" in known or "z" in known:
        known.pop("y", None)  # an axis
    return [known[name] for name in ALIASES[role] if name in known]


def _near(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name[:80], [n[:80] for n in names[:200]], 1)
    return f" ('{shown(close[0])}'?)" if close else ""

"""Files as people have them: each is read with the right values, or refused in one line.

Kinds: separators and decimal commas, encodings, compression, comments and headers of other tools,
columns of other names, orders of classes, clocks, indices, folders, and damage of each. A file's
expectation is a data set, equal to that of the plain file but for what the case names, and words
that its notes hold; or words of the refusal, which has a remedy.
"""

import csv
import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeflow.data import Dataset, load_dataset
from edgeflow.errors import DataError

RATE, LENGTH = 10, 25
PEOPLE, LABELS = ("ann", "bob", "cy"), ("sit", "walk")
HEADER = ["person", "recording", "label", "ax", "ay"]
X = np.random.default_rng(5).normal(size=(6, LENGTH, 2)).round(3)


def rows() -> list[list[str]]:
    """The rows of the plain table; recording k has the samples X[k]."""
    pairs = [(p, label) for p in PEOPLE for label in LABELS]
    return [
        [person, str(k), label, f"{a:.3f}", f"{b:.3f}"]
        for k, (person, label) in enumerate(pairs)
        for a, b in X[k]
    ]


def text(
    table: list[list[str]] | None = None,
    header: list[str] | None = None,
    *,
    top: str = "# rate_hz: 10\n",
    sep: str = ",",
    end: str = "\n",
) -> str:
    lines = [HEADER if header is None else header, *(rows() if table is None else table)]
    return top + end.join(sep.join(line) for line in lines) + end


def with_column(name: str, value: Callable[[int, int], object], at: int = 5) -> dict[str, Any]:
    """Return header and table with one more column: of recording k, sample i."""
    table = []
    for j, row in enumerate(rows()):
        table.append([*row[:at], str(value(j // LENGTH, j % LENGTH)), *row[at:]])
    return {"header": [*HEADER[:at], name, *HEADER[at:]], "table": table}


def clock(name: str, value: Callable[[int, int], object], **options: Any) -> str:
    return text(**with_column(name, value), **{"top": "", **options})


def two_clocks() -> str:
    """A clock and another beside it, in both of which the last two times are the same."""
    lines = clock("time", lambda k, i: f"{min(i, 23) / RATE}").splitlines()
    return "\n".join(f"{line},{line.rpartition(',')[2]}" for line in lines).replace(
        "time,time", "time,seconds_elapsed"
    )


def renamed(**names: str) -> list[str]:
    return [names.get(name, name) for name in HEADER]


def without(column: str) -> dict[str, Any]:
    at = HEADER.index(column)
    return {
        "header": [*HEADER[:at], *HEADER[at + 1 :]],
        "table": [[*row[:at], *row[at + 1 :]] for row in rows()],
    }


def changed(line: int, cell: int, value: str) -> list[list[str]]:
    table = rows()
    table[line][cell] = value
    return table


def relabelled(names: dict[str, str]) -> list[list[str]]:
    return [[*row[:2], names[row[2]], *row[3:]] for row in rows()]


@dataclass
class Case:
    """A file; `says` are words of its notes or, if `wrong`, of the refusal."""

    name: str
    content: str | bytes | dict[str, str]
    says: tuple[str, ...] = ()
    wrong: bool = False
    file: str = "mine.csv"
    options: dict[str, Any] = field(default_factory=dict)
    #: What differs from the plain file's: people, classes, rate_hz, channels, lengths.
    differs: dict[str, Any] = field(default_factory=dict)


def good(
    name: str, content: Any, *says: str, file: str = "mine.csv", options: Any = None, **differs: Any
) -> Case:
    return Case(name, content, says, False, file, options or {}, differs)


def bad(name: str, content: Any, *says: str, file: str = "mine.csv", **options: Any) -> Case:
    return Case(name, content, says, True, file, options)


def quoted() -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([HEADER, *rows()])
    return "# rate_hz: 10\n" + out.getvalue()


def decimal_comma(sep: str) -> str:
    table = [[*row[:3], *(cell.replace(".", ",") for cell in row[3:])] for row in rows()]
    return text(table, sep=sep)


def files(pattern: str, drop: tuple[str, ...] = ("person", "recording", "label")) -> dict[str, str]:
    found = {}
    keep = [i for i, name in enumerate(HEADER) if name not in drop]
    for k in range(6):
        part = rows()[k * LENGTH : (k + 1) * LENGTH]
        name = pattern.format(person=part[0][0], recording=k, label=part[0][2])
        table = [[row[i] for i in keep] for row in part]
        known = found.get(name)
        lines = text(table, [HEADER[i] for i in keep])
        found[name] = lines if known is None else known + lines.split("\n", 2)[2]
    return found


def changed_file(content: dict[str, str], number: int, old: str, new: str) -> dict[str, str]:
    name = sorted(content)[number]
    return {**content, name: content[name].replace(old, new)}


ALL = {"classes": ["sit", "walk"]}
GZ = gzip.compress(text().encode(), mtime=0)
PATTERN = {"pattern": "{person}/{label}_{recording}.csv"}
CASES = [
    # --- how a file is written
    good("plain", text()),
    good("semicolon", text(sep=";")),
    good("tab", text(sep="\t")),
    good("tsv", text(sep="\t"), file="mine.tsv"),
    good("bar", text(sep="|")),
    good("spaces", text(sep="  "), file="mine.txt"),
    good("space after comma", text(sep=", ")),
    good("decimal comma, semicolon", decimal_comma(";")),
    good("decimal comma, tab", decimal_comma("\t")),
    good("decimal comma, quoted", text([[*r[:3], *(f'"{c.replace(".", ",")}"' for c in r[3:])] for r in rows()])),
    good("all quoted", quoted()),
    good("BOM", b"\xef\xbb\xbf" + text().encode()),
    good("UTF-16", text().encode("utf-16")),
    good("UTF-16 without BOM", text().encode("utf-16-le")),
    good("CRLF", text(end="\r\n")),
    good("CR", text(top="# rate_hz: 10\r", end="\r")),
    good("mixed line ends", text().replace("\n", "\r\n", 40)),
    good("no last line end", text().rstrip("\n")),
    good("blank lines", text(end="\n\n")),
    good("gzip", GZ, file="mine.csv.gz"),
    good("gzip without the suffix", GZ),
    good("separators at the line's end", text(end=",\n")),
    good("separators at the rows' end", text(end=",\n").replace("ay,", "ay")),
    good("a spreadsheet's empty rows", text() + ",,,,\n,,,,\n"),
    good("sep= of Excel", text(top="sep=;\n", sep=";"), options={"rate_hz": 10}),
    good("header of numpy.savetxt", text(top="# rate_hz: 10\n# ")),
    good("comments", text().replace("ann,0,sit", "# a pause here\nann,0,sit", 2)),
    good("comments that a spreadsheet quoted", text(top='"# rate_hz: 10",,,,\n"# classes: walk, sit",,,,\n'), classes=["walk", "sit"], labels=[1, 0]),
    good("a column named #", text(**with_column("#", lambda k, i: k * LENGTH + i, at=0)), "one without a name"),
    good("rate after the header", text(top="") + "# rate_hz: 10\n"),
    good("a space that does not break in the header", text(header=renamed(ax="\u00a0ax\u00a0"))),
    bad("another minus", text(changed(4, 3, "\N{MINUS SIGN}0.5")), "line 7", "its minus is not '-'"),
    good("Windows-1252", text(relabelled({"sit": "Übung", "walk": "walk"})).encode("cp1252"), "Windows-1252", classes=["walk", "Übung"], labels=[1, 0]),
    good("names in other scripts", text([["安" if r[0] == "ann" else r[0], *r[1:]] for r in rows()]), people=["bob", "cy", "安"]),
    good("line ends in a quoted name", text(relabelled({"sit": '"sit\ndown"', "walk": "walk"})), classes=["sit\ndown", "walk"]),
    good("separator told", text(sep="|"), options={"separator": "|", "decimal": "."}),
    bad("empty", "", "empty", "name the columns"),
    bad("comments only", "# rate_hz: 10\n", "empty"),
    bad("header only", text([]), "holds no recordings"),
    bad("no header", text().replace(",".join(HEADER) + "\n", ""), "line 2", "put a line such as person,recording,label"),
    bad("no header, and a semicolon at each end", text(end=";\n").replace(",".join(HEADER) + ";\n", ""), "line 2", "put a line such as"),
    bad("one column", "# rate_hz: 10\nvalue\n1\n2\n", "line 2", "write the columns' names"),
    bad("header twice", text([*rows(), HEADER, *rows()]), "line 153", "ax is 'ax'", "leave out the line"),
    bad("two columns of one name", text(header=renamed(ay="ax")), "line 2", "'ax' is there 2 times"),
    bad("rows with another separator", text().replace(",", ";").replace(";".join(HEADER), ",".join(HEADER)), "line 3", "a semicolon, the header's a comma"),
    bad("separators that both fit", "# rate_hz: 10\na;person,label;x\n" + "1;p,q;2\n" * 30, "--separator"),
    bad("thousands or decimals", text([[*r[:3], "1,234", "5"] for r in rows()], sep=";"), "--decimal"),
    bad("decimals of both kinds", decimal_comma(";") .replace("ann;0;sit;", "ann;0;sit;0.5;1\nann;0;sit;", 1), "'.'", "','", "--decimal"),
    bad("a point later among commas", decimal_comma(";") + "cy;5;walk;0.5;1\n" * 9, "--decimal"),
    bad("missing cell", text(changed(4, 4, "")), "line 7", "ay is ''", "fill it in"),
    bad("missing cells", text() + "cy,5,walk,1\n", "line 153", "4 cells, the header has 5"),
    bad("too many cells", text() + "cy,5,walk,1,2,3\n", "line 153", "6 cells"),
    bad("one name too few", text(header=HEADER[:4]), "line 3", "5 cells, the header has 4", "name every column"),
    bad("NaN", text(changed(4, 4, "NaN")), "line 7", "ay is 'NaN'", "leave out"),
    bad("units below the header", text([["", "", "", "m/s^2", "m/s^2"], *rows()]), "line 3", "second line of the header", "leave it out"),
    bad("thousands in a cell", text(changed(4, 4, '"1,234.5"')), "line 7", "separators of thousands"),
    bad("truth among the channels", text(**with_column("touch", lambda k, i: i % 2 > 0)), "line 3", "touch is 'False'", "write 1 and 0"),
    bad("inf", text(changed(4, 4, "-inf")), "line 7", "not a finite number"),
    bad("hexadecimal", text(changed(4, 3, "0x1A")), "line 7", "ax is '0x1A'"),
    bad("underscore in a number", text(changed(4, 3, "1_000")), "line 7", "ax is '1_000'"),
    bad("beyond float32", text(changed(4, 3, "1e39")), "line 7", "beyond float32"),
    bad("a name among the channels", text(**with_column("device", lambda k, i: "watch")), "line 3", "device is 'watch'", "--channels"),
    bad("open quotation mark", text(changed(4, 2, '"sit')), "line 7", "quotation mark"),
    bad("NUL bytes", text().replace("ann", "a\0n", 3), "0x00", "export it again"),
    bad("escape codes", text().replace("ann", "\x1b[31mann"), "0x1b"),
    bad("huge cell", text(changed(3, 2, "s" * 200_000)), "line 6", "200,000 characters"),
    bad("huge line", text(changed(3, 2, "s" * 3_000_000)), "longer than"),
    bad("gzip cut short", GZ[:-40], "cut short", file="mine.csv.gz"),
    bad("gzip damaged", GZ[:200] + bytes(40) + GZ[240:], "damaged", file="mine.csv.gz"),
    bad("a renamed spreadsheet", b"PK\x03\x04" + bytes(90), "ZIP archive", "export it as CSV"),
    bad("noise", np.random.default_rng(0).bytes(4000), "no text"),
    bad("noise with a BOM", b"\xff\xfe\x00\x01" * 9, "not UTF-8"),
    bad("another form", "{}", "mine.json", ".npz", "export it as CSV", file="mine.json"),
    bad("separator of no kind", text(), "--separator", "tab", separator="x"),
    bad("decimal of no kind", text(), "--decimal", decimal="'"),
    # --- rate, window, classes
    bad("no rate", text(top=""), "no sampling rate", "--rate"),
    bad("rate of no number", text(top="# rate_hz: fast\n"), "line 1", "rate_hz is 'fast'"),
    bad("negative rate", text(top="# rate_hz: -5\n"), "rate_hz is -5", "positive"),
    bad("huge rate", text(top="# rate_hz: 1e308\n"), "line 1", "write a number"),
    bad("window with a fraction", text(top="# rate_hz: 10\n# window: 9.5\n"), "line 2", "whole"),
    bad("rates that contradict", text(), "leave out --rate", rate_hz=50),
    good("classes in their order", text(top="# rate_hz: 10\n# classes: walk, sit\n"), classes=["walk", "sit"], labels=[1, 0]),
    bad("a class that was not declared", text(top="# rate_hz: 10\n# classes: sit, run\n"), "line 29", "label 'walk' is not in"),
    good("whole numbers as labels", text(relabelled({"sit": "10", "walk": "9"})), "9, 10", classes=["9", "10"], labels=[1, 0]),
    good("negative labels", text(relabelled({"sit": "-1", "walk": "1"})), classes=["-1", "1"]),
    good("labels of a table with gaps", text(relabelled({"sit": "10.0", "walk": "2.0"})), classes=["2", "10"], labels=[1, 0]),
    good("labels with fractions", text(relabelled({"sit": "10.5", "walk": "9.5"})), classes=["9.5", "10.5"], labels=[1, 0]),
    good("labels of truth", text(relabelled({"sit": "False", "walk": "True"})), classes=["False", "True"]),
    good("labels with spaces", text(relabelled({"sit": " sit still ", "walk": "walk"})), classes=["sit still", "walk"]),
    good("labels that differ in case", text(relabelled({"sit": "Walk", "walk": "walk"})), "'Walk' and 'walk' differ in case", classes=["Walk", "walk"]),
    bad("one class", text(relabelled({"sit": "walk", "walk": "walk"})), "only one label (walk)", "at least 2"),
    bad("a quantity as label", text([[*r[:2], f"{0.37 * i:.2f}", *r[3:]] for i, r in enumerate(rows())]), "numbers with fractions", "--columns label="),
    bad("empty label", text(changed(4, 2, "")), "line 7", "label is empty"),
    bad("label missing as R writes it", text(changed(4, 2, "NA")), "line 7", "label is 'NA'", "begin a new recording"),
    bad("person missing", text(changed(4, 0, "N/A")), "line 7", "person is 'N/A'", "fill it in"),
    good("persons that differ in case", text([["Ann" if r[1] == "0" else r[0], *r[1:]] for r in rows()]), "the subjects 'Ann' and 'ann' differ in case", people=["Ann", *PEOPLE]),
    good("persons as numbers of two kinds", text([[{"0": "1", "1": "1.0"}.get(r[1], r[0]), *r[1:]] for r in rows()]), "'1' and '1.0' differ in how the number is written", people=["1", "1.0", "bob", "cy"]),
    good("labels with commas", text(relabelled({"sit": '"sit, down"', "walk": "walk"})), "labels: 'sit, down', walk", classes=["sit, down", "walk"]),
    bad("label nan", text(changed(4, 2, "nan")), "line 7", "label is 'nan'"),
    bad("one person", text([["ann", *r[1:]] for r in rows()]), "1 subjects (ann)", "at least 3"),
    good("a class that train lacks", text([r for r in rows() if r[:3] != ["ann", "0", "sit"]]), "no recordings of sit in the split 'train'", recordings=[1, 2, 3, 4, 5]),
    # --- names of columns
    bad("decimal commas among commas", decimal_comma(","), "line 3", "7 cells", "semicolons"),
    bad("a time of another name", text(**with_column("recorded_at", lambda k, i: f"2026-05-01T12:00:{i:02d}")), "--columns time=recorded_at"),
    good("columns of other names", text(header=renamed(person="subject", label="activity", recording="trial")), options={"columns": {"person": "subject", "label": "activity", "recording": "trial"}}),
    good("columns in capitals", text(header=renamed(person="Person", label="LABEL")), "'Person' is taken for 'person'"),
    good("channels chosen, in another order", text(**with_column("device", lambda k, i: "watch")), options={"channels": ["ay", "ax"]}, channels=["ay", "ax"]),
    good("no column of recordings", text(**without("recording")), "no column of recordings"),
    good("persons that begin with #", text([[f"#{r[0]}", *r[1:]] for r in rows()]), "'#'", people=["#ann", "#bob", "#cy"]),
    bad("a row that is commented out", text(changed(4, 0, "#ann")), "line 7", "'ann'"),
    bad("a row that is cut after #", text(changed(4, 0, "#ann")).replace("#ann,0,sit,", "#ann,0,"), "line 7", "begins with '#'"),
    bad("no person", text(header=renamed(person="subject")), "no column 'person'", "--columns person=subject"),
    bad("no person and no label", text(header=renamed(person="User ID", label="class")), "'person' and 'label'", "--columns person=User ID,label=class"),
    bad("a column that is not there", text(), "no column 'who'", "there are person", columns={"person": "who"}),
    bad("a channel that is not there", text(), "no column 'az'", "there are person", channels=["ax", "az"]),
    bad("a role that is none", text(), "--columns who=person", columns={"who": "person"}),
    bad("a label as channel", text(), "'label'", "no channel", channels=["ax", "label"]),
    bad("no channels", text([r[:3] for r in rows()], HEADER[:3]), "no channels"),
    # --- indices and clocks
    good("an index", text(**with_column("", lambda k, i: k * LENGTH + i, at=0)), "one without a name"),
    good("pandas' index", text(**with_column("Unnamed: 0", lambda k, i: k * LENGTH + i, at=0)), "'Unnamed: 0'"),
    good("a counter of samples", text(**with_column("n", lambda k, i: i)), "n (--channels keeps it)"),
    good("a counter of frames", text(**with_column("frame_idx", lambda k, i: 3 * i)), "frame_idx (--channels keeps it)"),
    good("a second clock that repeats", two_clocks(), "seconds_elapsed (--channels keeps it)", lengths=[24] * 6),
    good("numbers of classes beside their names", text(**with_column("activity_id", lambda k, i: 1 + k % 2)), "numbers persons, recordings or classes by its name: activity_id"),
    good("numbers of persons beside their names", text(**with_column("Subject ID", lambda k, i: k // 2, at=0)), "by its name: Subject ID"),
    good("numbers of trials that are kept", text(**with_column("trial", lambda k, i: k)), options={"channels": ["ax", "ay", "trial"]}, channels=["ax", "ay", "trial"]),
    good("an axis called like a label", text(header=renamed(ax="x", ay="y")), channels=["x", "y"], names={"x": "ax", "y": "ay"}),
    good("an event that changes is a channel", text(**with_column("event", lambda k, i: i % 3)), channels=["ax", "ay", "event"]),
    good("one value in each recording", text(**with_column("age", lambda k, i: 30 + k)), "one value all through each recording: age", channels=["ax", "ay", "age"]),
    good("a sensor that is off", text(**with_column("gz", lambda k, i: 0)), "one value all through each recording: gz", channels=["ax", "ay", "gz"]),
    good("a rising axis", text(**with_column("gz", lambda k, i: i)), channels=["ax", "ay", "gz"]),
    good("a counter that begins anew", text(**with_column("packet", lambda k, i: (k * LENGTH + i) % 32)), "packet (--channels keeps it)"),
    good("a counter that is kept", text(**with_column("n", lambda k, i: i)), options={"channels": ["ax", "n"]}, channels=["ax", "n"]),
    good("time in s", clock("time", lambda k, i: f"{i / RATE:.2f}"), "'time' is the clock, in s: 10 Hz"),
    good("time in ms", clock("timestamp", lambda k, i: 1_700_000_000_000 + 9000 * k + 100 * i), "in ms: 10 Hz"),
    good("time in us", clock("t", lambda k, i: 100_000 * i), "in us: 10 Hz"),
    good("time in ns", clock("time", lambda k, i: 1_700_000_000_000_000_000 + 100_000_000 * i), "in ns: 10 Hz"),
    good("a spreadsheet's days", clock("Date", lambda k, i: f"{45778.5 + i / RATE / 86400:.10f}"), "in d: 10 Hz"),
    good("MATLAB's days", clock("time", lambda k, i: f"{739000.5 + i / RATE / 86400:.12f}"), "in d: 10 Hz"),
    bad("two sensors that alternate, at the same times", clock("time", lambda k, i: i // 2 / RATE), "each time 2 times", "--rate"),
    bad("two sensors that alternate, a little apart", clock("time", lambda k, i: i // 2 / RATE + 0.003 * (i % 2)), "a longer pause after 50% of the samples", "alternate"),
    good("time whose name says ms", clock("time (ms)", lambda k, i: 100 * i), "in ms: 10 Hz"),
    good("time in ISO 8601", clock("time", lambda k, i: f"2026-05-01T12:00:{i / RATE:09.6f}"), "in s: 10 Hz"),
    good("time in ISO 8601 with a zone", clock("datetime", lambda k, i: f"2026-05-01 12:00:{i / RATE:06.3f}+02:00"), "in s: 10 Hz"),
    good("time of the day", clock("time", lambda k, i: f"10:59:{58 + i // RATE if i < 20 else 0:02d}.{i % RATE}" if i < 20 else f"11:00:00.{i % RATE}"), "in s: 10 Hz"),
    good("time by --columns", clock("when", lambda k, i: i / RATE), "'when' is the clock", options={"columns": {"time": "when"}}),
    good("time that jitters", clock("time", lambda k, i: i / RATE + 0.004 * (-1) ** i), "of steps within 8"),
    good("time at 9.9 Hz where 10 is stated", clock("time", lambda k, i: f"{i / 9.7:.4f}", top="# rate_hz: 10\n"), "9.7 Hz", "10 Hz is stated"),
    good("samples that are there twice", clock("time", lambda k, i: (i if i < 24 else 23) / RATE), "samples left out", ": 6", lengths=[24] * 6),
    good("a pause", clock("time", lambda k, i: i / RATE + 5 * (k == 0 and i >= 21)), "pauses of more than 2.5 periods: 1", "left out, as shorter", lengths=[21, *[25] * 5]),
    good("a counter named time", clock("time", lambda k, i: i, top="# rate_hz: 10\n"), "'time' counts samples"),
    good("time in whole seconds", clock("time", lambda k, i: i // RATE, top="# rate_hz: 10\n"), "too coarse"),
    good("no clock, though named t", clock("t", lambda k, i: (7 * i) % 5, top="# rate_hz: 10\n"), "'t' does not grow: taken for a channel", channels=["ax", "ay", "t"]),
    bad("time of unknown unit", clock("time", lambda k, i: 1.25 * i), "--time-unit"),
    good("time of a unit told", clock("time", lambda k, i: 0.1 * i), "in s: 10 Hz", options={"time_unit": "s"}),
    bad("time that contradicts the rate", clock("time", lambda k, i: i / 20, top="# rate_hz: 10\n"), "10 Hz is stated", "correct"),
    bad("time that goes back", clock("time", lambda k, i: (i if i != 9 else 3) / RATE), "line 11", "goes back", "sort"),
    bad("time that stands still", clock("time", lambda k, i: 5), "no clock", "--channels"),
    bad("time in another form", clock("time", lambda k, i: f"01.05.2026 12:00:{i / RATE:.1f}"), "ISO 8601", "line 2"),
    bad("recordings of two rates", clock("time", lambda k, i: i / (RATE if k < 4 else 5 * RATE)), "50 Hz", "most have 10 Hz"),
    # --- recordings
    good("short recordings", text([*rows(), *(["cy", "7", "sit", "1", "2"] for _ in range(3))]), "1 of 7 recordings (3 samples)"),
    bad("short recordings only", text(), "all 6 recordings are too short", "--window", window=26),
    bad("lines of recordings that alternate", text([r for i in range(LENGTH) for r in rows()[i::LENGTH]]), "alternate", "sort"),
    good("a recording in two places", text([*rows()[:20], *rows()[25:], *rows()[20:25], *rows()[:20]]), "6 recordings are in 7 runs", lengths=[20, 25, 25, 25, 25, 25, 25], any_values=True),
    # --- folders
    good("folder by pattern", files("{person}/{label}_{recording}.csv"), file="mine", options=PATTERN),
    good("folder by pattern with *", {**files("x/{person}-{label}-{recording}.csv"), "x/readme.txt": "hello"}, "not read", file="mine", options={"pattern": "*/{person}-{label}-*.csv"}),
    good("folder with all columns", files("{person}{recording}.csv", ()), file="mine"),
    good("folder of a file per person", files("{person}.csv", ("person",)), file="mine", options={"pattern": "{person}.csv"}),
    bad("folder without a pattern", files("{person}/{label}_{recording}.csv"), "--pattern '{person}/{label}_{recording}.csv'", file="mine"),
    bad("folder with columns of other names", {n: t.replace("person", "subject", 1) for n, t in files("{person}.csv", ()).items()}, "--columns person=subject", file="mine"),
    bad("folder without a pattern, flat", files("{person}_{label}_{recording}.csv"), "--pattern '{person}_{label}_{recording}.csv'", file="mine"),
    bad("pattern that fits no file", files("{person}/{label}_{recording}.csv"), "none of 6 files", "ann/sit_0.csv", file="mine", pattern="{person}/{recording}/{label}.csv"),
    bad("pattern with an unknown part", files("{person}.csv"), "{who} is none of", file="mine", pattern="{who}.csv"),
    bad("pattern for one file", text(), "one file", pattern="{person}.csv"),
    bad("files of other columns", changed_file(files("{person}/{label}_{recording}.csv"), 3, "ax,ay", "ax,az"), "bob/walk_3.csv", "lacks ay", "has also az", file="mine", **PATTERN),
    bad("files of other rates", changed_file(files("{person}/{label}_{recording}.csv"), 3, "hz: 10", "hz: 20"), "bob/walk_3.csv", "rate_hz is 20", file="mine", **PATTERN),
    bad("a person in column and pattern", files("{person}.csv", ()), "the column 'person' and in --pattern", file="mine", pattern="{person}.csv"),
    bad("files of two sensors", files("{person}/{label}/Accelerometer.csv") | files("{person}/{label}/Gyroscope.csv"), "Accelerometer.csv and Gyroscope.csv", "--pattern", file="mine", pattern="{person}/{label}/*.csv"),
    good("files of one of two sensors", files("{person}/{label}/Accelerometer.csv") | files("{person}/{label}/Gyroscope.csv"), "not read", file="mine", options={"pattern": "{person}/{label}/Accelerometer.csv"}),
    bad("axes in a folder without a pattern", {n: t.replace("ax,ay", "x,y") for n, t in files("{person}/{label}_{recording}.csv").items()}, "label=LABEL", file="mine"),
    bad("empty folder", {"notes.md": "none"}, "without files to read", file="mine"),
]  # fmt: skip


def write(folder: Path, case: Case) -> Path:
    path = folder / case.file
    if isinstance(case.content, dict):
        for name, part in case.content.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(part, encoding="utf-8")
    else:
        raw = case.content if isinstance(case.content, bytes) else case.content.encode()
        path.write_bytes(raw)
    return path


def check(data: Dataset, case: Case) -> None:
    differs = case.differs
    assert data.rate_hz == RATE
    assert data.classes == differs.get("classes", list(LABELS))
    assert data.channels == differs.get("channels", ["ax", "ay"])
    people = differs.get("people", list(PEOPLE))
    assert sorted(name for names in data.people.values() for name in names) == sorted(people)
    kept = differs.get("recordings", range(6))
    lengths = differs.get("lengths", [LENGTH] * len(kept))
    assert [len(one.x) for one in data.recordings] == lengths
    if "any_values" in differs:
        return
    labels = differs.get("labels", [0, 1])
    names = [differs.get("names", {}).get(name, name) for name in data.channels]
    columns = [HEADER[3:].index(name) for name in names if name in HEADER]
    for k, one in zip(kept, data.recordings, strict=True):
        assert one.label == labels[k % 2]
        own = one.x[:, [i for i, name in enumerate(names) if name in HEADER]]
        assert np.array_equal(own, X[k, : len(one.x), columns].T.astype(np.float32))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_file(case: Case, tmp_path: Path) -> None:
    path = write(tmp_path, case)
    options = dict(case.options)
    if case.wrong:
        with pytest.raises(DataError) as caught:
            load_dataset(path, **options)
        message = str(caught.value)
        assert len(message.splitlines()) == 1 and len(message) < 900
        assert message.isprintable()
    else:
        data = load_dataset(path, **options)
        message = "\n".join(data.notes)
        assert all(note.isprintable() for note in data.notes), data.notes
        check(data, case)
    for words in case.says:
        assert words in message


def test_there_are_forty_kinds_and_more() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 120


def test_clock_finds_what_is_missing_to_the_sample(tmp_path: Path) -> None:
    """A second is missing in one recording: its parts have the samples before and after."""
    lines = clock("time", lambda k, i: f"{1e9 + i / RATE:.1f}").splitlines(True)
    (tmp_path / "mine.csv").write_text("".join(lines[:9] + lines[14:]))
    data = load_dataset(tmp_path / "mine.csv", window=5)
    assert [len(one.x) for one in data.recordings] == [8, 12, 25, 25, 25, 25, 25]
    assert np.array_equal(data.recordings[1].x, X[0, 13:].astype(np.float32))


def test_resampled_on_request(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text())
    data = load_dataset(path, resample_hz=20)
    assert data.rate_hz == 20 and data.window == 40
    assert {len(one.x) for one in data.recordings} == {2 * LENGTH}
    assert "resampled from 10 to 20 Hz" in data.notes[0]
    assert np.allclose(data.recordings[2].x[::2], X[2], atol=0.35)


def test_a_window_other_than_the_files_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text(top="# rate_hz: 10\n# window: 12\n"))
    assert "windows of 12 samples: 15 are taken" in "".join(load_dataset(path, window=15).notes)
    assert "windows of 24 samples: 15 are" in "".join(
        load_dataset(path, window=15, resample_hz=20).notes
    )
    for same in (None, 12):
        assert not any("are taken" in note for note in load_dataset(path, window=same).notes)


def test_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By content and columns; a damaged copy, or another way to read it, is parsed again."""
    from edgeflow.data import tables, text_table

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tables, "KEPT_FROM", 0)
    parsed = []
    whole = text_table.TextTable.read
    monkeypatch.setattr(
        text_table.TextTable, "read", lambda self, roles: parsed.append(1) or whole(self, roles)
    )
    path = tmp_path / "mine.csv"
    path.write_text(text([[f"#{row[0]}", *row[1:]] for row in rows()]))
    first, again = load_dataset(path), load_dataset(path)
    assert len(parsed) == 1
    assert first.notes == again.notes and again.people == first.people
    for one, other in zip(first.recordings, again.recordings, strict=True):
        assert np.array_equal(one.x, other.x) and one.label == other.label
    load_dataset(path, channels=["ax"])
    assert len(parsed) == 2
    for kept in (tmp_path / "cache").rglob("*.npz"):
        kept.write_bytes(kept.read_bytes()[:100])
    assert load_dataset(path).notes == first.notes and len(parsed) == 3
    path.write_text(path.read_text().replace("ax", "bx"))
    assert load_dataset(path).channels == ["bx", "ay"] and len(parsed) == 4


def test_kept_copies_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeflow.data import parsed_cache, tables

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tables, "KEPT_FROM", 0)
    monkeypatch.setattr(parsed_cache, "MOST", 12_000)
    for k in range(4):
        (tmp_path / "mine.csv").write_text(text() + f"# {k}\n")
        load_dataset(tmp_path / "mine.csv")
    assert len(list((tmp_path / "cache").rglob("*.npz"))) < 4


def test_long_table_equals_short_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of lines meet anywhere, also within a quoted name."""
    from edgeflow.data import text_table

    content = text(relabelled({"sit": '"sit\ndown"', "walk": "walk"}))
    (tmp_path / "mine.csv").write_text(content)
    whole = load_dataset(tmp_path / "mine.csv")
    for block in (1, 2, 7):
        monkeypatch.setattr(text_table, "_ROWS", block)
        parts = load_dataset(tmp_path / "mine.csv")
        for one, other in zip(whole.recordings, parts.recordings, strict=True):
            assert np.array_equal(one.x, other.x) and one.label == other.label


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    columns = list(zip(*rows(), strict=True))
    table = {name: list(column) for name, column in zip(HEADER[:3], columns, strict=False)}
    table |= {name: list(map(float, columns[i])) for i, name in ((3, "ax"), (4, "ay"))}
    table["time"] = [i % LENGTH / RATE for i in range(len(columns[0]))]
    parquet.write_table(pyarrow.table(table), tmp_path / "mine.parquet")
    check(load_dataset(tmp_path / "mine.parquet"), good("parquet", ""))
    table["ax"][7] = float("nan")
    parquet.write_table(pyarrow.table(table), tmp_path / "mine.parquet")
    with pytest.raises(DataError, match="line 8: ax is nan"):
        load_dataset(tmp_path / "mine.parquet")
    (tmp_path / "mine.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="no readable Parquet file"):
        load_dataset(tmp_path / "mine.parquet")


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "mine.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="pip install pyarrow"):
        load_dataset(tmp_path / "mine.parquet")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.zeros((6, 3, 25))}, r"looks like \[n, channels, time\]: save x.transpose"),
        ({"x": np.zeros((6, 3, 25)), "channels": ["a", "b", "c"]}, r"\[n, channels, time\]"),
        ({"x": np.zeros((2, 60)), "length": [10] * 6}, r"\[channels, samples\]: save x.T"),
        ({"classes": ["a", "a"]}, "more than once"),
    ],
)
def test_arrays_with_channels_first(tmp_path: Path, changes: Any, message: str) -> None:
    arrays = {"x": np.zeros((6, 25, 3)), "y": [0, 1] * 3, "person": list("aabbcc"), "rate_hz": 10}
    np.savez(tmp_path / "mine.npz", **{**arrays, **changes})
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path / "mine.npz")


def test_arrays_with_many_named_channels_are_as_they_are(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(6, 3, 25))
    y = np.array(["10", "9"] * 3)
    np.savez(
        tmp_path / "mine.npz", x=x, y=y, person=list("aabbcc"), rate_hz=10,
        channels=[f"c{i}" for i in range(25)],
    )  # fmt: skip
    data = load_dataset(tmp_path / "mine.npz")
    assert data.window == 3 and data.classes == ["9", "10"]
    assert [one.label for one in data.recordings] == [1, 0] * 3


def test_a_clock_among_the_arrays_is_noted(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(6, 25, 3))
    x[:, :, 1] = np.arange(25) / 10
    np.savez(tmp_path / "mine.npz", x=x, y=[0, 1] * 3, person=list("aabbcc"), rate_hz=10)
    data = load_dataset(tmp_path / "mine.npz")
    assert "an index or clock by its samples, yet read as a channel: ch1" in data.notes[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name_or_path": 5}, "a name or a path"),
        ({"rate_hz": True}, "rate_hz is True"),
        ({"window": True}, "window is True"),
        ({"rate_hz": "fast"}, "rate_hz is 'fast'"),
        ({"rate_hz": -1}, "rate_hz is -1"),
        ({"rate_hz": [10]}, "rate_hz is"),
        ({"resample_hz": float("nan")}, "resample_hz is nan"),
        ({"window": 2.5}, "window is 2.5"),
        ({"window": 0}, "at least 1"),
        ({"people": ["ann"]}, "people is"),
        ({"channels": "ax"}, "give a list"),
        ({"channels": 3}, "give a list"),
        ({"columns": "person=subject"}, "give a mapping"),
        ({"separator": 5}, "give a text"),
        ({"time_unit": ["s"]}, "give a text"),
        ({"time_unit": "min"}, "use one of s, ms, us, ns, d"),
    ],
)
def test_wrong_arguments(tmp_path: Path, arguments: Any, message: str) -> None:
    (tmp_path / "mine.csv").write_text(text())
    with pytest.raises(DataError, match=message):
        load_dataset(**{"name_or_path": tmp_path / "mine.csv", **arguments})


def test_options_for_files_do_not_fit_a_public_data_set() -> None:
    with pytest.raises(DataError, match="leave out --columns"):
        load_dataset("seglearn-watch", columns={"person": "subject"})


def test_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    """Whatever bytes change: a data set or a DataError."""
    rng = np.random.default_rng(1)
    plain = clock("time", lambda k, i: i / RATE)[: 26 * 30].encode()
    path = tmp_path / "mine.csv"
    for _ in range(150):
        content = bytearray(plain)
        for _ in range(rng.integers(1, 6)):
            at = int(rng.integers(len(content)))
            content[at : at + int(rng.integers(0, 4))] = rng.bytes(int(rng.integers(0, 4)))
        path.write_bytes(bytes(content))
        try:
            load_dataset(path)
        except DataError as error:
            assert len(str(error)) < 1200 and json.dumps(str(error))

"""The live page in a web package: its files and recordings (tier: unit).

It alone would catch a page whose files are not where it looks, and recordings of other samples.
"""

import json
import re
from dataclasses import replace

import numpy as np

from edgeflow.exporting.web_page import INDEX, PAGE, RECORDINGS, page_files, recordings
from tests.random_programs import random_program
from tests.unit.test_data_quality import sound


def test_all_files_are_where_the_page_looks() -> None:
    program = random_program(0, 4, [8], 2, 12, 12, cells=("gru",))
    found = page_files(program, None)
    assert RECORDINGS not in found and 'content="motion"' in found[INDEX]
    linked = re.findall(r'(?:href|src)="([^"#]+)"', found[INDEX])
    assert len(linked) >= 4 and set(linked) <= set(found)
    assert {f"page/{p.relative_to(PAGE).as_posix()}" for p in PAGE.rglob("*.js")} <= set(found)
    assert sum(map(len, found.values())) < 200_000


def test_recordings_are_windows_of_test_subjects() -> None:
    """Two subjects, twelve seconds of each class at most, with six digits."""
    data = sound(6, 31)
    split = {"train": ["p0", "p1", "p2"], "val": ["p3"], "test": ["p4", "p5"]}
    data = replace(data, people=split)
    program = random_program(0, 4, [8], 2, 12, 12, cells=("gru",))
    program = replace(program, window=100, classes=tuple(data.classes), rate_hz=data.rate_hz)
    program = replace(program, input=replace(program.input, channels=tuple(data.channels)))
    found = recordings(program, data)
    assert json.loads(json.dumps(found)) == found
    assert [(one["person"], one["label"]) for one in found["recordings"]] == [
        (person, label) for person in ("p4", "p5") for label in ("rest", "walk")
    ]
    for one, r in zip(found["recordings"], data.split("test"), strict=True):
        assert np.shape(one["x"]) == (600, 4)
        assert np.allclose(one["x"], r.x[:600], rtol=1e-5, atol=0)
    train = np.concatenate([r.x for r in data.split("train")])
    assert np.allclose(found["training"]["mean"], train.mean(axis=0), atol=1e-4)

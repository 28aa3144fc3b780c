"""Streams of keywords: tags stand where the words are.

It alone would catch tags that slip against the sound, which only lowers a recall elsewhere.
"""

import numpy as np
import pytest

from scripts.keywords import AFTER, minute_of

RATE, LENGTH = 1000, 60_000


def test_tags_stand_where_the_words_are() -> None:
    rng = np.random.default_rng(0)
    clips = [(np.full(rng.integers(200, 900), 0.5), tag) for tag in (1, 0, 2, 1, 0)]
    x, tags = minute_of(clips, 0.01, LENGTH, RATE, rng)
    assert x.shape == tags.shape == (LENGTH,) and np.abs(x).max() <= 1
    loud = np.abs(x) > 0.1
    starts = np.flatnonzero(np.diff(loud.astype(int)) == 1) + 1
    ends = np.flatnonzero(np.diff(loud.astype(int)) == -1) + 1
    assert len(starts) == len(clips)
    for start, end, (clip, tag) in zip(starts, ends, clips, strict=True):
        assert end - start == len(clip)
        after = end + round(AFTER * RATE)
        assert set(tags[start:after]) == {tag}
        assert tags[start - 1] == 0 and tags[after] == 0


def test_in_training_tags_stand_around_the_ends() -> None:
    rng = np.random.default_rng(1)
    clips = [(np.full(size, 0.5), tag) for size, tag in ((900, 1), (60, 2), (500, 0))]
    x, tags = minute_of(clips, 0.01, LENGTH, RATE, rng, (0.1, 0.2))
    ends = np.flatnonzero(np.diff((np.abs(x) > 0.1).astype(int)) == -1) + 1
    wanted = np.zeros(LENGTH, int)
    # a word shorter than what is before its end is tagged from its beginning
    wanted[ends[0] - 100 : ends[0] + 200] = 1
    wanted[ends[1] - 60 : ends[1] + 200] = 2
    np.testing.assert_array_equal(tags, wanted)


def test_too_many_words_are_named() -> None:
    clips = [(np.ones(40_000), 1)] * 2
    with pytest.raises(SystemExit, match="2 words do not fit into a minute"):
        minute_of(clips, 0.01, LENGTH, RATE, np.random.default_rng(0))

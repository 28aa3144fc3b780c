"""Streams of spoken digits in noise, of which three are keywords, as a data set of events.

python scripts/keywords.py --root DATA -o keywords.npz [--test yweweler] [--words zero,six,seven]
edgeflow train --data keywords.npz --task events --mode streaming --front log-mel -o runs/keywords
edgeflow compress runs/keywords --data keywords.npz --detect 1 -o keywords.onnx

Each speaker says all clips of all ten digits once, at random moments: the test and the validation
speaker within an hour, the others within minutes. Each minute is a recording with noise of its own,
from white to brown. The tag of a keyword lasts from its beginning to a tenth of a second after it.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from edgeflow.data import load_dataset  # noqa: E402
from edgeflow.data.dataset import Recording, everybody  # noqa: E402

BACKGROUND = "background"
#: Least pause between two words, and what a tag lasts after its word, in seconds.
PAUSE, AFTER = 0.25, 0.1
#: Decibels by which noise is below the speaker's clips, from and to; deviation of a clip's gain.
NOISE_DB, GAIN_DB = (10.0, 25.0), 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, help="folder of the data")
    parser.add_argument("-o", "--out", required=True, help="the .npz that is written")
    parser.add_argument("--test", default="yweweler", help="speaker; the next by name validates")
    parser.add_argument("--words", default="zero,six,seven")
    parser.add_argument("--minutes", type=int, default=60, help="of test and validation")
    parser.add_argument("--train-minutes", type=int, default=10, help="of each other speaker")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    data = load_dataset("spoken-digits", root=given.root)
    words, rate = given.words.split(","), int(data.rate_hz)
    speakers = everybody(data.recordings)
    val = speakers[(speakers.index(given.test) + 1) % len(speakers)]
    train = [one for one in speakers if one not in (given.test, val)]
    tag_of = [words.index(name) + 1 if name in words else 0 for name in data.classes]
    rng = np.random.default_rng(given.seed)
    x, tags, person = [], [], []
    for speaker in speakers:
        own = [one for one in data.recordings if one.person == speaker]
        minutes = given.train_minutes if speaker in train else given.minutes
        clips = [(_spoken(one), tag_of[one.label]) for one in own]
        level = float(np.median([np.sqrt(np.square(clip).mean()) for clip, _ in clips]))
        for chosen in np.array_split(rng.permutation(len(clips)), minutes):
            found = minute_of([clips[i] for i in chosen], level, 60 * rate, rate, rng)
            x.append(found[0])
            tags.append(found[1])
            person.append(speaker)
    np.savez(
        given.out,
        x=np.stack(x)[..., None], tags=np.stack(tags), person=np.array(person),
        classes=np.array([BACKGROUND, *words]), channels=np.array(["audio"]),
        units=np.array(["full scale"]), rate_hz=rate, window=rate,
        counts_per_unit=np.array([32768.0]),
        people_train=np.array(train), people_val=np.array([val]),
        people_test=np.array([given.test]),
    )  # fmt: skip


def _spoken(one: Recording) -> np.ndarray:
    """Return the samples of a clip without the silence before it."""
    heard: np.ndarray = one.x[np.flatnonzero(one.x[:, 0])[0] :, 0]
    return heard


def minute_of(
    clips: list[tuple[np.ndarray, int]], level: float, length: int, rate: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return samples and tags [length] of clips at random moments, in noise."""
    pause, free = round(PAUSE * rate), length - sum(len(clip) for clip, _ in clips)
    free -= pause * (len(clips) + 1)
    if free < 0:
        raise SystemExit(f"{len(clips)} words do not fit into a minute: give more minutes")
    gaps = pause + np.floor(free * rng.dirichlet(np.ones(len(clips) + 1))).astype(int)
    x, tags = level * _noise(length, rng), np.zeros(length, np.int8)
    at = 0
    for (clip, tag), gap in zip(clips, gaps, strict=False):
        at += int(gap)
        x[at : at + len(clip)] += 10 ** (rng.normal(0, GAIN_DB) / 20) * clip
        tags[at : at + len(clip) + round(AFTER * rate)] = tag
        at += len(clip)
    return np.clip(x, -1, 1).astype(np.float32), tags


def _noise(length: int, rng: np.random.Generator) -> np.ndarray:
    """Return noise of a colour and a level of its own, as a share of that of words."""
    spectrum = np.fft.rfft(rng.normal(size=length))
    # the power falls with this power of the frequency: 0 is white, 2 brown
    spectrum *= (20 + np.arange(len(spectrum)) / 60) ** (-rng.uniform(0, 2) / 2)
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, length)
    share = 10 ** (-rng.uniform(*NOISE_DB) / 20)
    return share * noise / np.sqrt(np.square(noise).mean())


if __name__ == "__main__":
    main()

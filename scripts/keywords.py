"""Streams of spoken digits in noise, as a data set of events: each digit is a word.

python scripts/digit_voices.py -o voices --count 1000
python scripts/keywords.py --root DATA --voices voices -o keywords.npz --people people
edgeflow train --data keywords.npz --people people/lucas.json --task events --mode streaming \\
  --front log-mel -o runs/lucas
edgeflow compress runs/lucas --data keywords.npz --people people/lucas.json --detect 1 \\
  --words zero,one,seven --folds runs/george-lucas --folds runs/lucas-nicolas -o lucas.onnx

Each speaker has an hour for validation and test, in which all clips of all ten digits are said once
at random moments, and as much for training, in which they are said several times, each time at
another pace and through another filter, as those of synthetic voices. Each minute is a recording
with noise of its own, from white to brown. The tag of a word lasts from its beginning to a tenth of
a second after it; in training only around its end, when all of it has been heard.

The folder of --people gets a file for each speaker, who tests while all others train, and one for
each two, of whom neither trains: models that choose the detector of the first.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from edgeflow.data import load_dataset  # noqa: E402
from edgeflow.data.dataset import Recording  # noqa: E402

BACKGROUND, VOICES = "background", "voices"
#: Behind a speaker's name: what is said in training.
TRAINS = "-trains"
#: Least pause between two words, and what a tag lasts after its word, in seconds.
PAUSE, AFTER = 0.25, 0.1
#: In training: what a tag lasts before and after the word's end, in seconds; deviation of the
#: logarithm of a clip's pace.
END, PACE = (0.1, 0.2), 0.1
#: Bands of a filter in training, and the deviation of their gains in decibels.
BANDS, BAND_DB = 6, 3.0
#: Words a minute in training, and the level of synthetic ones.
DENSITY, LEVEL = 50, 0.05
#: Decibels by which noise is below the speaker's clips, from and to; deviation of a clip's gain.
NOISE_DB, GAIN_DB = (10.0, 25.0), 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, help="folder of the data")
    parser.add_argument("-o", "--out", required=True, help="the .npz that is written")
    parser.add_argument("--people", required=True, help="folder of the files of who trains")
    parser.add_argument("--voices", help="folder of synthetic speakers, who train")
    parser.add_argument("--minutes", type=int, default=60, help="of test and of validation")
    parser.add_argument("--times", type=int, default=6, help="a training clip is said")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    data = load_dataset("spoken-digits", root=given.root)
    rate, clips = int(data.rate_hz), _clips(data.recordings, data.classes, data.classes)
    speakers = list(clips)
    if given.voices:
        more = load_dataset(given.voices)
        spoken = _clips(more.recordings, more.classes, data.classes).values()
        # a minute has several of them, at one level
        clips[VOICES] = [
            (LEVEL * clip / np.sqrt(np.square(clip).mean()), tag)
            for own in spoken
            for clip, tag in own
        ]
    rng = np.random.default_rng(given.seed)
    x, tags, person = [], [], []
    for who, own in clips.items():
        level = float(np.median([np.sqrt(np.square(clip).mean()) for clip, _ in own]))
        # of synthetic speakers there are many
        times = given.times if who != VOICES else max(given.times // 4, 1)
        parts = [("", 1, given.minutes)] if who != VOICES else []
        for trains, count, minutes in [*parts, (TRAINS, times, -(-len(own) // DENSITY))]:
            for _ in range(count):
                for chosen in np.array_split(rng.permutation(len(own)), minutes):
                    said = [own[i] for i in chosen]
                    if trains:
                        said = [(_filtered(_paced(clip, rng), rng), tag) for clip, tag in said]
                    found = minute_of(said, level, 60 * rate, rate, rng, END if trains else None)
                    x.append(found[0])
                    tags.append(found[1])
                    person.append(who + trains)
    np.savez(
        given.out,
        x=np.stack(x)[..., None], tags=np.stack(tags), person=np.array(person),
        classes=np.array([BACKGROUND, *data.classes]), channels=np.array(["audio"]),
        units=np.array(["full scale"]), rate_hz=rate, window=rate,
        counts_per_unit=np.array([32768.0]),
    )  # fmt: skip
    folder = Path(given.people)
    folder.mkdir(parents=True, exist_ok=True)
    for out in [*((one,) for one in speakers), *itertools.combinations(speakers, 2)]:
        test = out[0]
        # with one left out, whoever validates has trained: --folds chooses
        val = out[1] if len(out) > 1 else next(one for one in speakers if one != test)
        train = [who + TRAINS for who in clips if who not in out]
        people = {"train": train, "val": [val], "test": [test]}
        (folder / f"{'-'.join(out)}.json").write_text(json.dumps(people), encoding="utf-8")


def _clips(
    recordings: list[Recording], names: list[str], words: list[str]
) -> dict[str, list[tuple[np.ndarray, int]]]:
    """Return of each speaker the clips, without the silence before them, and their tags."""
    found: dict[str, list[tuple[np.ndarray, int]]] = {}
    for one in recordings:
        tag = words.index(names[one.label]) + 1
        found.setdefault(one.person, []).append((_spoken(one), tag))
    return dict(sorted(found.items()))


def _spoken(one: Recording) -> np.ndarray:
    """Return the samples of a clip without the silence before it."""
    heard: np.ndarray = one.x[np.flatnonzero(one.x[:, 0])[0] :, 0]
    return heard


def _paced(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a clip played faster or slower."""
    steps = round(len(clip) * np.exp(rng.normal(0, PACE)))
    return np.interp(np.linspace(0, len(clip) - 1, steps), np.arange(len(clip)), clip)


def _filtered(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a clip with other gains of its bands, as through another microphone."""
    spectrum = np.fft.rfft(clip)
    gains = np.interp(
        np.linspace(0, 1, len(spectrum)), np.linspace(0, 1, BANDS), rng.normal(0, BAND_DB, BANDS)
    )
    return np.fft.irfft(spectrum * 10 ** (gains / 20), len(clip))


def minute_of(
    clips: list[tuple[np.ndarray, int]], level: float, length: int, rate: int,
    rng: np.random.Generator, around_end: tuple[float, float] | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return samples and tags [length] of clips at random moments, in noise.

    Tags stand for whole words and a little more, or `around_end`: seconds before and after it.
    """
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
        end = at + len(clip)
        before, after = (len(clip) / rate, AFTER) if around_end is None else around_end
        tags[max(at, end - round(before * rate)) : end + round(after * rate)] = tag
        at = end
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

"""Streams of spoken digits in noise, as a data set of events: each digit is a word.

python scripts/digit_voices.py -o voices --count 1000
python scripts/keywords.py --root DATA --voices voices -o keywords.npz [--test yweweler]
edgeflow train --data keywords.npz --task events --mode streaming --front log-mel -o runs/keywords
edgeflow compress runs/keywords --data keywords.npz --detect 1 --words zero,two,seven -o kw.onnx

The test speaker and the next one by name, who validates, say all clips of all ten digits once, at
random moments of an hour; the others and synthetic voices several times, each time at another pace
and through another filter. Each minute is a recording with noise of its own, from white to brown.
The tag of a word lasts from its beginning to a tenth of a second after it; in training only around
its end, when all of it has been heard.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from edgeflow.data import load_dataset  # noqa: E402
from edgeflow.data.dataset import Recording, everybody  # noqa: E402

BACKGROUND, VOICES = "background", "voices"
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
    parser.add_argument("--test", default="yweweler", help="speaker; the next one validates")
    parser.add_argument("--voices", help="folder of synthetic speakers, who train")
    parser.add_argument("--minutes", type=int, default=60, help="of test and of validation")
    parser.add_argument("--times", type=int, default=6, help="a training clip is said")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    data = load_dataset("spoken-digits", root=given.root)
    words, rate = data.classes, int(data.rate_hz)
    speakers = everybody(data.recordings)
    val = speakers[(speakers.index(given.test) + 1) % len(speakers)]
    clips: dict[str, list[tuple[np.ndarray, int]]] = {}
    recordings = [(one.person, data.classes, one) for one in data.recordings]
    if given.voices:
        more = load_dataset(given.voices)
        # a minute has several of them
        recordings += [(VOICES, more.classes, one) for one in more.recordings]
    for who, names, one in recordings:
        tag = words.index(names[one.label]) + 1
        clip = _spoken(one)
        if who == VOICES:  # of levels of their own
            clip = LEVEL * clip / np.sqrt(np.square(clip).mean())
        clips.setdefault(who, []).append((clip, tag))
    rng = np.random.default_rng(given.seed)
    x, tags, person = [], [], []
    for who, own in clips.items():
        trains = who not in (given.test, val)
        level = float(np.median([np.sqrt(np.square(clip).mean()) for clip, _ in own]))
        minutes = -(-len(own) // DENSITY) if trains else given.minutes
        # of synthetic speakers there are many
        times = 1 if not trains else given.times if who != VOICES else max(given.times // 4, 1)
        orders = [rng.permutation(len(own)) for _ in range(times)]
        for chosen in (part for order in orders for part in np.array_split(order, minutes)):
            said = [own[i] for i in chosen]
            if trains:
                said = [(_filtered(_paced(clip, rng), rng), tag) for clip, tag in said]
            found = minute_of(said, level, 60 * rate, rate, rng, END if trains else None)
            x.append(found[0])
            tags.append(found[1])
            person.append(who)
    np.savez(
        given.out,
        x=np.stack(x)[..., None], tags=np.stack(tags), person=np.array(person),
        classes=np.array([BACKGROUND, *words]), channels=np.array(["audio"]),
        units=np.array(["full scale"]), rate_hz=rate, window=rate,
        counts_per_unit=np.array([32768.0]),
        people_train=np.array([who for who in clips if who not in (given.test, val)]),
        people_val=np.array([val]), people_test=np.array([given.test]),
    )  # fmt: skip


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

"""Spoken digits by speech synthesis, as more training speakers: a folder of WAV files at 8 kHz.

python scripts/digit_voices.py -o voices [--count 240] [--seed 0]

Needs espeak-ng, flite and festival with English voices (Debian: espeak-ng flite festival
festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts). A speaker is a synthesiser's voice with a
pitch and a pace of its own; espeak-ng's also speak English as speakers of other languages would.
"""

import argparse
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import signal
from tqdm import tqdm

RATE = 8000
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ENGLISH = (
    "en-gb", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029",
    "en-us-nyc",
)  # fmt: skip
#: Digits as written in languages whose sounds then are an accent.
ACCENTS = {
    "de": "siro uan tu sri for faif sicks sewen ejt nain",
    "fr-fr": "ziro ouanne tou sri for faïve sixe sévenne éïte naïne",
    "fr-be": "ziro ouanne tou tri for faïve sixe sévenne éïte naïne",
    "nl": "ziero wan toe srie foor faaif siks seven eet naain",
    "it": "ziro uan tu tri for faiv sics seven eit nain",
    "el": "ζίρο ουάν του θρι φορ φάιβ σιξ σέβεν έιτ νάιν",
    "es": "síro uán tu zri for faiv six séven éit náin",
    "pl": "ziro łan tu tri for fajw siks sewen ejt najn",
}
VARIANTS = (
    *(f"m{i}" for i in range(1, 9)), *(f"f{i}" for i in range(1, 6)), "klatt2", "klatt4",
    "adam", "Alex", "Alicia", "Andrea", "Andy", "Annie", "Diogo", "Gene", "Henrique", "Hugo",
    "Jacky", "Lee", "Marco", "Mario", "Michael", "Mike", "aunty", "belinda", "benjamin", "boris",
    "caleb", "david", "ed", "edward", "gustave", "iven", "john", "linda", "max", "michel",
    "miguel", "norbert", "pablo", "paul", "pedro", "quincy", "rob", "robert", "sandro", "shelby",
    "steph", "travis", "victor", "zac", "anika", "antonio", "marcelo", "kaukovalta", "grandpa",
)  # fmt: skip
FLITE = ("kal16", "awb", "rms", "slt")
FESTIVAL = ("kal_diphone", "ked_diphone", "cmu_us_slt_arctic_hts")
#: Of the synthesisers, the share of speakers.
SHARES = {"espeak": 0.45, "accent": 0.3, "flite": 0.2, "festival": 0.05}


class Speaker(NamedTuple):
    """A name without underscores, and what says a digit, as a WAV file."""

    name: str
    says: Callable[[int], bytes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", required=True, help="folder that is written")
    parser.add_argument("--count", type=int, default=240, help="speakers")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    kinds = rng.choice(list(SHARES), given.count, p=list(SHARES.values()))
    for digit in DIGITS:
        (Path(given.out) / digit).mkdir(parents=True, exist_ok=True)
    for i, kind in enumerate(tqdm(kinds, unit="speaker", disable=None)):
        name, says = _speaker(str(kind), rng)
        for j, digit in enumerate(DIGITS):
            samples = _clip(says(j), rng)
            _write(Path(given.out) / digit / f"{name}-{i:04}_0.wav", samples)


def _speaker(kind: str, rng: np.random.Generator) -> Speaker:
    if kind == "flite":
        voice, pitch = str(rng.choice(FLITE)), float(rng.uniform(0.8, 1.25))
        pace = float(rng.uniform(0.75, 1.35))
        flags = [
            "--setf",
            f"duration_stretch={pace}",
            "--setf",
            f"int_f0_target_mean={105 * pitch}",
        ]
        command = ["flite", "-voice", voice, *flags, "-o", "/dev/stdout", "-t"]
        return Speaker(f"flite-{voice}", lambda i: _run([*command, DIGITS[i]]))
    if kind == "festival":
        voice, pace = str(rng.choice(FESTIVAL)), float(rng.uniform(0.75, 1.4))
        setup = f"(begin (voice_{voice}) (Parameter.set 'Duration_Stretch {pace}))"
        command = ["text2wave", "-eval", setup]
        return Speaker(f"festival-{voice.split('_')[0]}", lambda i: _run(command, DIGITS[i]))
    language = str(rng.choice(list(ACCENTS) if kind == "accent" else ENGLISH))
    words = ACCENTS.get(language, " ".join(DIGITS)).split()
    variant, pitch = str(rng.choice(VARIANTS)), int(rng.integers(25, 76))
    command = [
        "espeak-ng", "-v", f"{language}+{variant}", "-p", str(pitch),
        "-s", str(int(rng.integers(110, 210))), "--stdout",
    ]  # fmt: skip
    return Speaker(f"espeak-{language}-{variant}", lambda i: _run([*command, words[i]]))


def _run(command: list[str], text: str = "") -> bytes:
    """Return what a synthesiser writes."""
    try:
        found = subprocess.run(command, input=text.encode(), capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"{command[0]}: {error}: install espeak-ng, flite, festival and their voices")
    return found.stdout


def _clip(content: bytes, rng: np.random.Generator) -> np.ndarray:
    """Return int16 samples at 8 kHz of a WAV file, without silence around the word."""
    # a header of 44 bytes; written to a pipe, it does not know the length
    rate = int.from_bytes(content[24:28], "little")
    x = np.frombuffer(content[44 : len(content) // 2 * 2], "<i2").astype(np.float64)
    if not x.any():
        raise ValueError("it is silent")
    factor = np.exp(rng.normal(0, 0.06))
    x = signal.resample_poly(x, RATE // 50, round(rate / 50 * factor))
    loud = np.flatnonzero(np.abs(x) > 0.03 * np.abs(x).max())
    x = x[max(loud[0] - RATE // 50, 0) : loud[-1] + RATE // 25]
    x *= 10 ** rng.uniform(-1.6, -0.3) / np.abs(x).max()
    return np.round(32767 * x).astype("<i2")


def _write(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


if __name__ == "__main__":
    main()

"""Front ends by texts: ``magnitude,gravity=0.3hz,stack:2``, or ``log-mel:hop=20ms`` of sound."""

import re
from collections.abc import Sequence

from torch import nn

from edgeflow.cells.front import Biquad, Difference, FrontEnd, Gravity, Magnitude
from edgeflow.cells.front_sound import LogMel, is_log_mel, mel_of
from edgeflow.data.channels import axis_triples
from edgeflow.data.frames import is_in_hops
from edgeflow.errors import TrainError

#: What a text may begin with; those of frequencies need some.
PLAIN, FILTERS = ("magnitude", "difference"), ("gravity", "lowpass", "highpass", "bandpass")
#: Order of the Butterworth filters, whose band-pass has twice as much.
ORDER = 2
_HERTZ = r"(\d*\.?\d+)(?:hz)?"
#: Samples of a step, the last of a text.
_STACK = re.compile(r"stack(?::(\d+))?", re.IGNORECASE)
_TEXT = re.compile(rf"(\w+)(?:={_HERTZ}(?:-{_HERTZ})?)?(?:@(\w+))?", re.IGNORECASE)


def split_stack(text: str) -> tuple[str, int]:
    """Return a text without ``stack:4`` at its end, and the samples of a step; 1: it has none.

    Raises
    ------
    TrainError
        If no number follows that is at least 2.
    """
    before, _, last = text.rpartition(",")
    found = _STACK.fullmatch(last.strip())
    if found is None:
        return text, 1
    if int(found[1] or 0) < 2:
        raise TrainError(f"front '{last.strip()}': write stack:2, or more samples a step")
    return before, int(found[1])


def front_of(text: str, channels: Sequence[str], rate_hz: float) -> nn.ModuleList:
    """Return front ends, one behind the other.

    Parameters
    ----------
    text : str
        Like ``magnitude,gravity=0.3hz@acc``, "" for none: names with a frequency, a band as
        ``0.5-10hz``, and with what the names of their channels begin with. Without it, a magnitude
        or gravity is of the sensors with three axes side by side, and others of all channels.
        The first may be ``log-mel`` of sound, with options as `mel_of` has them; its bands are the
        channels mel_0, mel_1, ... of the next. Without a stack (`split_stack`).
    channels : sequence of str
        Of sound the samples of a hop.
    rate_hz : float
        Steps per second.

    Raises
    ------
    TrainError
        If a name is unknown, there are no such channels, or a frequency is out of range.
    """
    made: list[FrontEnd] = []
    width = len(channels)
    for part in filter(None, (part.strip() for part in text.split(","))):
        if is_log_mel(part) and not made:
            made.append(_log_mel(part, channels, rate_hz))
            width = made[-1].outputs
            channels = [f"mel_{i}" for i in range(width)]
            continue
        found = _TEXT.fullmatch(part)
        if found is None or found[1].lower() not in (*PLAIN, *FILTERS):
            raise TrainError(
                f"front '{part}': write names of {', '.join((*PLAIN, *FILTERS))}, like "
                "magnitude,gravity=0.3hz@acc, first log-mel, of sound, or last stack:2"
            )
        name, corners = found[1].lower(), [float(f) for f in found.groups()[1:3] if f]
        wanted = {"bandpass": 2}.get(name, int(name in FILTERS))
        if len(corners) != wanted:
            example = {0: name, 1: f"{name}=0.3hz", 2: f"{name}=0.5-10hz"}[wanted]
            raise TrainError(f"front '{part}': write {example}")
        first, count, vectors = _channels(part, found[4], name, channels)
        if corners and not 0 < corners[0] <= corners[-1] < rate_hz / 2:
            raise TrainError(
                f"front '{part}': frequencies must be above 0 and below {rate_hz / 2:g} Hz, half "
                f"of the {rate_hz:g} samples a second"
            )
        if name == "magnitude":
            made.append(Magnitude(width, first, vectors))
        elif name == "difference":
            made.append(Difference(width, first, count))
        elif name == "gravity":
            made.append(Gravity(width, first, count, corners[0] / rate_hz))
        else:
            from scipy import signal  # a second

            corner = corners if name == "bandpass" else corners[0]
            sos = signal.butter(ORDER, corner, name, fs=rate_hz, output="sos")
            made.append(Biquad(width, first, count, sos))
        width = made[-1].outputs
    return nn.ModuleList(made)


def _log_mel(part: str, channels: Sequence[str], rate_hz: float) -> LogMel:
    hop = len(channels)
    if not is_in_hops(channels):
        raise TrainError(
            f"front '{part}': it is of one channel of sound; the data have {', '.join(channels)}"
        )
    mel = mel_of(part, float(f"{rate_hz * hop:.9g}"))
    if mel.hop != hop:
        raise TrainError(f"front '{part}': it reads {mel.hop} samples a step, the data have {hop}")
    return LogMel(mel)


def _channels(
    part: str, prefix: str | None, name: str, channels: Sequence[str]
) -> tuple[int, int, int]:
    """Return the first channel, how many, and how many vectors of three they are."""
    chosen = [i for i, c in enumerate(channels) if c.lower().startswith((prefix or "").lower())]
    if name in ("magnitude", "gravity"):
        starts = axis_triples([channels[i] for i in chosen])
        chosen = [chosen[k] for i in starts for k in range(i, i + 3)]
    if not chosen or chosen != list(range(chosen[0], chosen[-1] + 1)):
        what = "x, y and z of a sensor side by side" if name in ("magnitude", "gravity") else "any"
        raise TrainError(
            f"front '{part}': no channels for it ({what}) next to each other in "
            f"{', '.join(channels)}"
        )
    return chosen[0], len(chosen), len(chosen) // 3

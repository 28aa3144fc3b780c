"""Front ends by texts: ``magnitude,gravity=0.3hz``."""

import re
from collections.abc import Sequence

from scipy import signal
from torch import nn

from edgeflow.cells.front import Biquad, Difference, FrontEnd, Gravity, Magnitude
from edgeflow.data.channels import axis_triples
from edgeflow.errors import TrainError

#: What a text may begin with; those of frequencies need some.
PLAIN, FILTERS = ("magnitude", "difference"), ("gravity", "lowpass", "highpass", "bandpass")
#: Order of the Butterworth filters, whose band-pass has twice as much.
ORDER = 2
_HERTZ = r"(\d*\.?\d+)(?:hz)?"
_TEXT = re.compile(rf"(\w+)(?:={_HERTZ}(?:-{_HERTZ})?)?(?:@(\w+))?", re.IGNORECASE)


def front_of(text: str, channels: Sequence[str], rate_hz: float) -> nn.ModuleList:
    """Return front ends, one behind the other.

    Parameters
    ----------
    text : str
        Like ``magnitude,gravity=0.3hz@acc``, "" for none: names with a frequency, a band as
        ``0.5-10hz``, and with what the names of their channels begin with. Without it, a magnitude
        or gravity is of the sensors with three axes side by side, and others of all channels.
    channels : sequence of str
    rate_hz : float

    Raises
    ------
    TrainError
        If a name is unknown, there are no such channels, or a frequency is out of range.
    """
    made: list[FrontEnd] = []
    width = len(channels)
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _TEXT.fullmatch(part)
        if found is None or found[1].lower() not in (*PLAIN, *FILTERS):
            raise TrainError(
                f"front '{part}': write names of {', '.join((*PLAIN, *FILTERS))}, like "
                "magnitude,gravity=0.3hz@acc"
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
            corner = corners if name == "bandpass" else corners[0]
            sos = signal.butter(ORDER, corner, name, fs=rate_hz, output="sos")
            made.append(Biquad(width, first, count, sos))
        width = made[-1].outputs
    return nn.ModuleList(made)


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

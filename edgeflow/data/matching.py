"""Whether data are what a model was made for: window, sampling rate, units."""

from collections.abc import Sequence

from edgeflow.data.dataset import Dataset
from edgeflow.errors import DataError

#: Rates that differ by less than this share are one: clocks of wearables are no better.
SAME_RATE = 0.02
#: Spellings of one unit.
_SPELLINGS = {"m/s/s": "m/s2", "ms-2": "m/s2", "m.s-2": "m/s2", "deg/s": "°/s", "dps": "°/s",
              "μt": "ut", "µt": "ut"}  # fmt: skip


def check_match(
    dataset: Dataset, *, window: int, rate_hz: float = 0.0, units: Sequence[str] = ()
) -> list[str]:
    """Compare a data set with what a model was made for, as far as both are known.

    Parameters
    ----------
    window : int
        Samples per decision of the model; 0: it decides at every sample.
    rate_hz : float
        Samples per second; 0: not known.
    units : sequence of str
        One per channel, "" where it is not known; empty: none is.

    Returns
    -------
    list of str
        Notes of a line each: windows of another length, of which the model's are used.

    Raises
    ------
    DataError
        If rates differ by more than 2 %, units differ, or all recordings are shorter than a window.
    """
    _check_rate(dataset, rate_hz)
    _check_units(dataset, units)
    lengths = {len(one.x) for one in dataset.recordings}
    if not window or not lengths:
        return []
    if max(lengths) < window:
        raise DataError(
            f"data set '{dataset.name}': its recordings have at most {max(lengths)} samples, the "
            f"model decides every {window}: give whole recordings, or make a model for windows of "
            f"{max(lengths)}"
        )
    if dataset.window != window:
        return [
            f"the model decides every {window} samples, windows of data set '{dataset.name}' have "
            f"{dataset.window}: the model's {window} are used"
        ]
    if len(lengths) == 1 and window < max(lengths) < 2 * window:
        return [
            f"each recording of data set '{dataset.name}' has {max(lengths)} samples, as if they "
            f"were windows; the model decides every {window}: the first {window} of each are used"
        ]
    return []


def rates_differ(one: float, other: float) -> bool:
    """Tell whether two positive rates are not those of two clocks that should be one."""
    return abs(one - other) > SAME_RATE * max(one, other)


def channels_remedy(own: Sequence[str], wanted: Sequence[str]) -> str:
    """Return what to do about data whose channels are not the model's."""
    if set(wanted) <= set(own):
        return f"choose the model's with --channels {','.join(wanted)}"
    return "give the channels the model's names if they are the same, or make a model for these"


def classes_remedy(own: Sequence[str], wanted: Sequence[str]) -> str:
    """Return what to do about data whose classes are not the model's."""
    if set(own) <= set(wanted):
        return f"state the model's in the file: '# classes: {', '.join(wanted)}'"
    return (
        "give the labels the model's names, leave out the recordings of other classes, or make a "
        "model for these"
    )


def _check_rate(dataset: Dataset, rate_hz: float) -> None:
    own = dataset.rate_hz
    if own > 0 and rate_hz > 0 and rates_differ(own, rate_hz):
        raise DataError(
            f"data set '{dataset.name}' has {own:g} samples per second, the model was made for "
            f"{rate_hz:g}: resample the data (--resample {rate_hz:g}), or correct the rate that "
            "is wrong"
        )


def _check_units(dataset: Dataset, units: Sequence[str]) -> None:
    if len(units) != len(dataset.units):
        return
    for channel, own, wanted in zip(dataset.channels, dataset.units, units, strict=True):
        if own and wanted and plain_unit(own) != plain_unit(wanted):
            raise DataError(
                f"data set '{dataset.name}': channel {channel} is in {own}, the model was made for "
                f"{wanted}: convert the samples, or correct 'units' of the data"
            )


def plain_unit(unit: str) -> str:
    """Return a unit in one spelling: "m/s2" of "m/s²" and "m/s^2", "°/s" of "dps"."""
    text = unit.strip().replace("²", "2").replace("**", "").replace(" ", "")
    text = text.replace("^", "").replace("·", ".").lower()
    return _SPELLINGS.get(text, text)

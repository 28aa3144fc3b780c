"""Conductances of programmed devices, now and later."""

from dataclasses import dataclass

import numpy as np

from edgeflow.errors import ImcError
from edgeflow.imc.device import Device

#: Rounding that a target may be outside of its device's range by.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Programmed:
    """Devices that were programmed once; each keeps its own deviations at all times.

    Attributes
    ----------
    device
    target
        µS, float64 [...].
    first, second
        Two standard normal numbers a device, float64 like `target`: the deviation after
        programming, and that of the drift's exponent or the relaxation.
    nu
        Exponent of drift, float64 like `target`; None: the device has no drift.
    stuck
        µS where a device is stuck, NaN elsewhere; None: nowhere.
    """

    device: Device
    target: np.ndarray
    first: np.ndarray
    second: np.ndarray
    nu: np.ndarray | None
    stuck: np.ndarray | None

    def at(self, seconds: float, rng_read: np.random.Generator | None = None) -> np.ndarray:
        """Return the conductances at a time.

        Parameters
        ----------
        seconds : float
            Since programming.
        rng_read : Generator, optional
            For one reading's noise, a standard normal number a device; None: no such noise.

        Returns
        -------
        float64 array like `target`
            µS, not below 0; stuck devices are exactly at `g_min` or `g_max`.

        Raises
        ------
        ImcError
            If the device's sources have no data for this time.
        """
        device = self.device
        device.check_time(seconds)
        noise = None if rng_read is None else rng_read.standard_normal(self.target.shape)
        g = programmed = self._programmed(seconds)
        if device.drift is not None and self.nu is not None:
            g = g * np.exp(-self.nu * np.log1p(seconds / device.drift.t0_s))
        if device.relaxation is not None:
            mean, sd = device.relaxation.at(seconds)
            g = g + mean + sd * self.second
        if device.read is not None and noise is not None:
            g = g + noise * self._read_sd(programmed, g, seconds)
        g = np.maximum(g, 0)
        return g if self.stuck is None else np.where(np.isnan(self.stuck), g, self.stuck)

    def _programmed(self, seconds: float) -> np.ndarray:
        """Conductances after programming, or at the time of a spread; not below 0."""
        device, curve = self.device, self.device.programming
        if device.spread:
            curve = device.spread[device.times_s.index(seconds)].sd
        if curve is None:
            return self.target
        return np.maximum(self.target + curve.at(self.target, device.g_max) * self.first, 0)

    def _read_sd(self, programmed: np.ndarray, g: np.ndarray, seconds: float) -> np.ndarray:
        """Standard deviation of a reading, in µS, of what was programmed and is `g` now."""
        device, read = self.device, self.device.read
        assert read is not None
        sd = read.sd.at(programmed, device.g_max)
        if read.relative:
            sd = sd * g
        if read.pulse_s is not None:
            t = seconds + (device.drift.t0_s if device.drift is not None else 0)
            sd = sd * np.sqrt(np.log(max((t + read.pulse_s) / (2 * read.pulse_s), 1)))
        return sd


def program(device: Device, target: np.ndarray, rng: np.random.Generator) -> Programmed:
    """Program devices.

    Parameters
    ----------
    device : Device
    target : array [...]
        µS, in the device's range `g_min`..`g_max`.
    rng : Generator
        Gives three numbers for each device, whatever the device and its target: a chip with the
        same seed has the same luck with every technology.

    Raises
    ------
    ImcError
        If a target is outside of the range.

    Notes
    -----
    One number sets how far a device is off at every time of a `spread`, and how far it relaxes:
    how such deviations correlate over time is not published.
    """
    target = np.asarray(target, np.float64)
    slack = _ROUNDING * device.g_max
    good = (target >= device.g_min - slack) & (target <= device.g_max + slack)
    if not good.all():
        raise ImcError(
            f"a target of {target[~good].flat[0]:.6g} µS is outside of device '{device.name}': "
            f"{device.g_min:g} to {device.g_max:g} µS"
        )
    first, second = rng.standard_normal(target.shape), rng.standard_normal(target.shape)
    luck, nu, stuck = rng.random(target.shape), None, None
    if device.drift is not None:
        mean = device.drift.nu_mean.at(target, device.g_max)
        nu = np.abs(mean + device.drift.nu_sd.at(target, device.g_max) * second)
    if device.stuck_on or device.stuck_off:
        stuck = np.where(luck < device.stuck_off, device.g_min, np.nan)
        stuck[luck >= 1 - device.stuck_on] = device.g_max
    return Programmed(device, target, first, second, nu, stuck)

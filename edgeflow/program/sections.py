"""Impulse responses of second-order sections one behind the other, and their absolute sums."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgeflow.errors import ProgramError

Floats = NDArray[np.float64]

#: Most samples of a response, and the share of its sum that is left out at most.
LONGEST, REST = 1 << 18, 1e-9


@dataclass(frozen=True, eq=False)
class Cascade:
    """Sections in sequence, in float64.

    Parameters
    ----------
    coefficients : float64 array [sections, 5]
        b_0, b_1, b_2, a_1, a_2 of each.
    """

    coefficients: Floats

    @classmethod
    def of_sos(cls, sos: Floats) -> "Cascade":
        """Return the cascade of scipy's sections [sections, 6].

        Raises
        ------
        ProgramError
            If sos has another shape, values that are not finite, or a_0 of 0.
        """
        sos = np.asarray(sos, dtype=np.float64)
        if sos.ndim != 2 or sos.shape[1] != 6 or not np.isfinite(sos).all() or not sos[:, 3].all():
            raise ProgramError("a filter is sections [sections, 6] of finite numbers, as scipy's")
        return cls(sos[:, [0, 1, 2, 4, 5]] / sos[:, 3:4])

    @property
    def sections(self) -> int:
        """How many."""
        return len(self.coefficients)

    def _advance(self, state: Floats, x: Floats, errors: Floats) -> tuple[Floats, Floats]:
        """Return next state [2 * sections, m] and outputs [sections, m] (transposed form II).

        `errors` [sections, m] are added to the outputs, before these are fed back.
        """
        following, outputs = np.empty_like(state), np.empty_like(errors)
        for k, (b0, b1, b2, a1, a2) in enumerate(self.coefficients):
            y = b0 * x + state[2 * k] + errors[k]
            following[2 * k] = b1 * x - a1 * y + state[2 * k + 1]
            following[2 * k + 1] = b2 * x - a2 * y
            outputs[k] = x = y
        return following, outputs

    @cached_property
    def _responses(self) -> Floats:
        """Responses [time, sections, 1 + sections]: of each section, to x and to the errors.

        Raises
        ------
        ProgramError
            If one does not die away within `LONGEST` samples.
        """
        states, sections = 2 * self.sections, self.sections
        impulses = np.eye(1 + sections)
        zero = np.zeros((states, 1 + sections))
        after, at_once = self._advance(zero, impulses[0], impulses[1:])
        move, read = self._advance(
            np.eye(states), np.zeros(states), np.zeros((sections, states))
        )  # fmt: skip
        rows, power = read[None], move  # what is read of a state after 0, 1, ... samples
        while True:
            response = rows @ after
            half = np.abs(response[len(rows) // 2 :]).sum(axis=0)
            whole = np.abs(response).sum(axis=0)
            if len(rows) >= 64 and (half <= REST * whole).all():
                return np.concatenate([at_once[None], response])
            if len(rows) >= LONGEST or not np.isfinite(whole).all():
                raise ProgramError(
                    "a filter's poles are too near to the unit circle: use a higher corner "
                    "frequency, a lower order or fewer samples a second"
                )
            rows, power = np.concatenate([rows, rows @ power]), power @ power

    def gains(self) -> Floats:
        """Return the largest |output| [sections] for |x| <= 1: absolute sums of the responses."""
        sums: Floats = np.abs(self._responses[:, :, 0]).sum(axis=0) * (1 + 1e-6)
        return sums

    def noise_gains(self) -> tuple[Floats, Floats]:
        """Return absolute sums and largest values [sections, sections] of responses to errors.

        The first axis says where the error is made, the second where it is seen.
        """
        errors = np.abs(self._responses[:, :, 1:])
        return errors.sum(axis=0).T * (1 + 1e-6), errors.max(axis=0).T

    def distance(self, other: "Cascade") -> float:
        """Return the largest difference of the last outputs for |x| <= 1."""
        a, b = self._responses[:, -1, 0], other._responses[:, -1, 0]
        size = max(len(a), len(b))
        padded = (np.pad(h, (0, size - len(h))) for h in (a, b))
        return float(np.abs(np.subtract(*padded)).sum()) * (1 + 1e-6)

    def balanced(self) -> "Cascade":
        """Return the same filter with the gains of all sections but the last at most 1."""
        scaled, gains = self.coefficients.copy(), np.maximum(self.gains(), 1e-12)
        before = np.concatenate([[1.0], gains[:-1]])
        after = np.concatenate([gains[:-1], [1.0]])
        scaled[:, :3] *= (before / after)[:, None]
        return Cascade(scaled)

"""Pins of microcontrollers by the names that data sheets give them."""

import re
from typing import Annotated

from pydantic import AfterValidator

# Nordic's P0.06, ST's PA2, Raspberry Pi's GP0 and Espressif's GPIO21
_PIN = re.compile(r"P([0-9])\.([0-9]{1,2})|P([A-K])([0-9]{1,2})|GP(?:IO)?([0-9]{1,2})", re.ASCII)
#: Pins of a port.
_NORDIC, _LETTER, _SINGLE = 32, 16, 64


def pin_number(name: str) -> int:
    """Return the number of a pin, as C gets it: port times the pins of a port, plus the pin.

    Parameters
    ----------
    name : str
        ``P0.06`` (32 pins a port), ``PA2`` (16 pins a port), ``GP0`` or ``GPIO21``.

    Raises
    ------
    ValueError
        If it is no name of a pin.
    """
    match = _PIN.fullmatch(name)
    if match is not None:
        nordic_port, nordic, letter, lettered, single = match.groups()
        if single is not None and int(single) < _SINGLE:
            return int(single)
        if letter is not None and int(lettered) < _LETTER:
            return (ord(letter) - ord("A")) * _LETTER + int(lettered)
        if nordic is not None and int(nordic) < _NORDIC:
            return int(nordic_port) * _NORDIC + int(nordic)
    raise ValueError(f"'{name}' is no pin: write it like P0.06, PA2, GP0 or GPIO21")


def _pin(name: str) -> str:
    pin_number(name)
    return name


Pin = Annotated[str, AfterValidator(_pin)]

"""Programs on analog crossbars: what devices, converters and years make of the same integers.

::

    import edgeflow as ef

    result = ef.imc.simulate(program, ef.load_dataset("seglearn-watch"), device="pcm", chips=25)
    result.at(86400)["mean"]    # accuracy after a day, on average over the chips

A program's matrices are conductances of pairs of devices; all else, biases, tables and states,
stays digital and is the same to the bit. Each chip draws its own devices: how they were programmed,
how they drift, and what each reading adds. ``docs/imc.md`` has the models and their sources.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeflow.imc.device import Device, device_names, load_device
    from edgeflow.imc.options import ArrayOptions
    from edgeflow.imc.population import simulate
    from edgeflow.imc.result import ImcResult

__all__ = ["ArrayOptions", "Device", "ImcResult", "device_names", "load_device", "simulate"]

# Found on first use: the command line reads the options, and starts without numpy.
_MODULES = {
    "ArrayOptions": "edgeflow.imc.options",
    "Device": "edgeflow.imc.device",
    "ImcResult": "edgeflow.imc.result",
    "device_names": "edgeflow.imc.device",
    "load_device": "edgeflow.imc.device",
    "simulate": "edgeflow.imc.population",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module 'edgeflow.imc' has no attribute '{name}'")
        value = getattr(import_module(_MODULES[name]), name)
        globals()[name] = value
        return value

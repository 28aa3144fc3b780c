"""The marker's pins of the firmware on the virtual nRF52840, as a power probe would see them.

Alone catches a pin that is not high from begin to end of each step, layers that are not marked, and
cycles that the marker is part of.
"""

import os
from pathlib import Path

import numpy as np
import pytest

if not os.environ.get("CI"):
    pytest.importorskip("unicorn", reason="not installed: unicorn (scripts/setup.sh installs it)")

from edgeflow.codegen.build import compile_program
from edgeflow.energy.formats import own
from edgeflow.energy.recording import Recording
from edgeflow.profiling.result import ProfileResult
from tests.command import edgeflow
from tests.probe_models import Pty
from tests.testbeds import workload

pytestmark = pytest.mark.board
#: Of P1, as the board's file says.
MARKER, LAYERS = 8, 10
HZ = 64e6


class Line(Pty):
    """The chip's UART at a pty, and what its pins did: cycles and the output register."""

    def __init__(self, image: bytes) -> None:
        from tests.testbeds.nrf52840.chip import Nrf52840

        self.chip = Nrf52840(self.say)
        self.pins: list[tuple[int, int]] = []
        gpio = self.chip._peripherals[0x50000000]
        write = gpio.write

        def logged(offset: int, value: int) -> None:
            write(offset, value)
            self.pins.append((self.chip.core.cycles, gpio.read(0x304 + 0x500)))

        gpio.write = logged  # type: ignore[method-assign]
        super().__init__()
        with self.chip.core.visit():
            self.chip.core.uc.mem_write(0, image)
            self.chip.power_on()

    def take(self, data: bytes) -> None:
        self.chip.receive(data)


def test_pins_mark_steps_and_layers(tmp_path: Path) -> None:
    build = compile_program(workload.program(), "nrf52840-dk", tmp_path / "build")
    workload.recordings(tmp_path / "mine.npz")
    line = Line((tmp_path / "build" / "firmware.bin").read_bytes())
    try:
        done = edgeflow("profile", tmp_path / "build", "--data", tmp_path / "mine.npz",
                        "--port", line.port, "--no-flash", "--steps", "40", "-o", tmp_path / "out")  # fmt: skip
        assert done.returncode == 0, done.stderr
    finally:
        line.unplug()
        line.chip.core.close()
    result = ProfileResult.load(tmp_path / "out" / "profile.json")
    assert (
        result.mismatches == 0
        and result.marker_us is not None
        and result.cycles_per_step is not None
    )
    assert 2 <= result.marker_us * HZ / 1e6 <= 100
    cycles = np.array([at for at, _ in line.pins])
    levels = np.array([out >> MARKER & 1 for _, out in line.pins])
    begin = cycles[1:][(levels[1:] == 1) & (levels[:-1] == 0)]
    end = cycles[1:][(levels[1:] == 0) & (levels[:-1] == 1)]
    assert len(begin) == len(end) == result.steps
    inside = float((end - begin).mean()) - result.cycles_per_step["mean"]
    marks = np.array([out >> LAYERS & 1 for _, out in line.pins])
    changed = cycles[1:][marks[1:] != marks[:-1]]
    layers = sum(row["type"] is not None for row in result.layers)
    assert len(changed) == layers * result.steps
    assert 0 < inside <= (3 + layers) * result.marker_us * HZ / 1e6
    assert all(
        ((changed > b) & (changed < e)).sum() == layers for b, e in zip(begin, end, strict=True)
    )

    # as a probe sees them: 10 mW while a pin is high, 1 mW else, at a tenth of the clock
    rate = HZ / 10
    first = int(begin[0]) - 5000
    size = int((end[-1] - first) / 10) + 500
    seconds = np.arange(size) * 10 + first
    high = np.searchsorted(np.sort(np.concatenate([begin, end])), seconds, side="right") % 2 == 1
    toggled = np.searchsorted(changed, seconds, side="right") % 2 == 1
    power = np.where(high, 10e-3, 1e-3)
    recording = Recording(rate, power, digital={"D0": high, "D1": toggled}, source="model")
    own.write(recording, tmp_path / "power.npz")
    done = edgeflow("energy", tmp_path / "power.npz", "--profile", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    result = ProfileResult.load(tmp_path / "out" / "profile.json")
    assert result.energy_uj is not None and result.power is not None
    # without the marker: the cycles of the step alone
    alone = result.cycles_per_step["mean"]  # type: ignore[index, operator]
    assert result.energy_uj["mean"] == pytest.approx(10e-3 * alone / HZ * 1e6, rel=0.02)
    assert result.power["marker_uj"] > 0 and len(result.power["layers"]) == layers + 1
    assert build is not None

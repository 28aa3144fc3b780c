"""Energy and its error, of estimated and of measured cycles."""

import numpy as np
import pytest

from edgeflow.profiling.counts import Counts
from edgeflow.profiling.models import load_cycle_model
from edgeflow.profiling.report import kind_text
from edgeflow.profiling.result import ESTIMATED, MEASURED
from edgeflow.profiling.timing import Timing, estimated_timing
from edgeflow.targets.part import load_part

CYCLES = np.array([1000.0, 3000.0])


def test_energy_of_measured_cycles_has_the_error_of_the_calibration() -> None:
    part = load_part("nucleo-l4r5zi")
    energy = Timing(CYCLES, CYCLES / 120).energy(part)
    assert energy is not None
    assert energy["mean"] == pytest.approx(2000 * 357e-6)
    assert energy["kind"] == ESTIMATED
    assert energy["error_percent"] == pytest.approx(26)


@pytest.mark.parametrize(("error", "expected"), [(20.0, 100 * (1.2 * 1.26 - 1)), (None, None)])
def test_energy_of_estimated_cycles_has_both_errors(
    error: float | None, expected: float | None
) -> None:
    part, model = load_part("nucleo-l4r5zi"), load_cycle_model("cortex-m4")
    energy = Timing(CYCLES, None, ESTIMATED, model, part, error).energy(part)
    assert energy is not None
    assert energy["error_percent"] == (pytest.approx(expected) if expected else None)


def test_a_part_without_calibration_has_no_energy() -> None:
    assert Timing(CYCLES).energy(load_part("mps3-an547")) is None
    assert Timing(CYCLES).energy(None) is None


def test_estimates_carry_model_and_error() -> None:
    part, model = load_part("nucleo-l4r5zi"), load_cycle_model("cortex-m4")
    assert model is not None
    ran = Counts(
        np.array([8]), np.array([[600], [1800]]), np.array([[0], [1]]), *np.zeros((3, 2, 1), int)
    )
    timing = estimated_timing(ran, np.array([[600.0], [1800.0]]), model, part)
    latency = timing.summary(timing.latency_us)
    assert latency is not None
    assert latency["mean"] == 10 and latency["kind"] == ESTIMATED
    assert latency["model"] == "cortex-m4-trm on nucleo-l4r5zi"
    assert latency["error_percent"] == model.error_percent
    assert kind_text(latency) == f"estimated, ±{model.error_percent:.0f} %"
    assert kind_text({**latency, "error_percent": None}) == "estimated, error not known"
    assert kind_text({**latency, "error_percent": 0.2}) == "estimated, ±0.2 %"
    assert kind_text({"mean": 1}) == "exact"
    rtl = Timing(CYCLES, rtl="a core").summary(CYCLES)
    assert rtl is not None and rtl["kind"] == MEASURED and rtl["rtl"] == "a core"
    assert kind_text(rtl) == "measured (RTL)"
    provenance = timing.provenance()
    assert provenance is not None and len(provenance["validation"]) == 2
    assert Timing(CYCLES).provenance() is None

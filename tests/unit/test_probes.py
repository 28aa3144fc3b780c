"""Power probes at models of their ports.

Alone catches samples that the PPK2's driver decodes unlike the public client, loses or shifts; a
probe that is another device, goes away or reaches its limit, and what is then kept.
"""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from edgeflow.device.probes import ProbeOptions, find_probe, probes
from edgeflow.device.probes.joulescope import Collector
from edgeflow.device.probes.ppk2 import Calibration, decode, regulator
from edgeflow.energy.formats import own, read_recording
from edgeflow.energy.recording import Recording
from edgeflow.errors import DeviceError, EdgeFlowError, EnergyError
from tests import probe_models
from tests.power import Board
from tests.probe_models import METADATA, OtiiServer, random_words, words_of

CALIBRATION = Calibration.parse(METADATA)


def recorded(
    model: probe_models.Pty, name: str, options: ProbeOptions, seconds: float = 0.5
) -> Recording:
    probe = find_probe(f"{name}:{model.port}", options)
    assert probe is not None
    with probe:
        probe.start()
        time.sleep(seconds)
        return probe.stop()


def test_ppk2_and_the_public_client_read_the_same() -> None:
    client = pytest.importorskip("ppk2_api.ppk2_api", reason="ppk2-api is not installed")
    words = random_words(20_000)
    model = probe_models.Ppk2(words)
    ours = recorded(model, "ppk2", ProbeOptions(voltage=3.0, spike_filter=True), 0.3)
    model.unplug()
    assert ours.samples == len(words) and ours.lost == 0
    other = probe_models.Ppk2(words)
    theirs = client.PPK2_API(other.port, timeout=1)
    assert theirs.get_modifiers()
    theirs.set_source_voltage(3000)
    theirs.use_ampere_meter()
    theirs.start_measuring()
    values: list[float] = []
    bits: list[int] = []
    end = time.monotonic() + 20
    while len(values) < len(words) and time.monotonic() < end:
        if data := theirs.get_data():
            more, lines = theirs.get_samples(data)
            values += more
            bits += lines
    other.unplug()
    assert len(values) == len(words)
    assert ours.current_a is not None
    assert ours.current_a * 1e6 == pytest.approx(np.array(values), rel=1e-3)
    assert ours.current_a * 1e6 == pytest.approx(np.array(values), rel=1e-9)
    for i in range(8):
        assert (ours.digital[f"D{i}"] == (np.array(bits) >> i & 1)).all()


def test_filter_takes_energy_away_and_is_off() -> None:
    """A pulse of 5 mA and 2 ms from idle: the filter shortens it."""
    adc = np.full(2000, 700)
    ranges = np.zeros(2000, int)
    ranges[500:700] = 3
    adc[500:700] = 2600
    data = words_of(adc, ranges, np.zeros(2000, int)).tobytes()
    raw = decode(data, CALIBRATION, 3.0).current_a
    smooth = decode(data, CALIBRATION, 3.0, spike_filter=True).current_a
    assert (raw[500:700] == raw[500]).all()
    assert 0.98 < smooth[500:700].mean() / raw[500] < 0.9975
    assert not ProbeOptions().spike_filter


@pytest.mark.slow
def test_decodes_faster_than_half_a_million_samples_a_second() -> None:
    data = random_words(1_000_000).tobytes()
    times = []
    for _ in range(3):
        begun = time.process_time()
        decode(data, CALIBRATION, 3.0)
        times.append(time.process_time() - begun)
    assert 1e6 / min(times) > 5e5


def test_lost_samples_are_gaps() -> None:
    words = random_words(1000)
    found = decode(np.delete(words, np.arange(400, 410)).tobytes(), CALIBRATION, 3.0)
    assert found.lost == 10 and np.flatnonzero(np.isnan(found.current_a)).tolist() == [
        *range(400, 410)
    ]
    whole = decode(words.tobytes(), CALIBRATION, 3.0)
    assert (found.current_a[410:] == whole.current_a[410:]).all()
    assert decode(words.tobytes() + b"\1\2", CALIBRATION, 3.0).lost == 0


def test_requests_of_the_ppk2() -> None:
    model = probe_models.Ppk2(random_words(3000))
    recorded(model, "ppk2", ProbeOptions(voltage=3.3, supply=True), 0.1)
    time.sleep(0.1)
    model.unplug()
    assert regulator(0.8) == bytes([0x0D, 3, 32]) and regulator(3.3) == bytes([0x0D, 12, 228])
    assert model.asked == [
        b"\7",
        b"\x19",
        b"\x11\2",
        regulator(3.3),
        b"\x0c\1",
        b"\6",
        b"\7",
        b"\7",
    ]


def test_saturated_range() -> None:
    adc = np.full(1000, 800)
    adc[300:310] = 0x3FFF
    model = probe_models.Ppk2(words_of(adc, np.full(1000, 4), np.zeros(1000, int)))
    found = recorded(model, "ppk2", ProbeOptions(voltage=3.0), 0.2)
    model.unplug()
    assert found.notes == (
        "the PPK2's widest range was exceeded in 10 samples: energies are too low",
    )


def test_unplugged_keeps_what_there_is() -> None:
    model = probe_models.Ppk2(random_words(100_000), chunk=1000, pause=1e-5)
    probe = find_probe(f"ppk2:{model.port}", ProbeOptions(voltage=3.0))
    assert probe is not None
    with probe:
        probe.start()
        time.sleep(0.4)
        model.unplug()
        time.sleep(0.2)
        found = probe.stop()
    assert found.samples > 10_000
    (note,) = found.notes
    assert "the port went away" in note and "s)" in note and "\n" not in note


def test_another_device_is_no_ppk2() -> None:
    model = probe_models.Lpm01a([])
    probe = find_probe(f"ppk2:{model.port}", ProbeOptions(voltage=3.0))
    assert probe is not None
    with pytest.raises(DeviceError, match="no PPK2 answers there: it sent 0 bytes"), probe:
        pass
    model.unplug()
    other = probe_models.Ppk2(random_words(10))
    probe = find_probe(f"lpm01a:{other.port}", ProbeOptions(voltage=3.0))
    assert probe is not None
    with pytest.raises(DeviceError, match="no LPM01A answers 'htc' there"), probe:
        pass
    other.unplug()


WRONG: list[tuple[str, ProbeOptions, str]] = [
    ("ppk3", ProbeOptions(), "no probe 'ppk3'; known: ina, joulescope, lpm01a, otii, ppk2, none"),
    ("ppk2:/dev/none", ProbeOptions(voltage=3.0), "/dev/none: cannot open the port"),
    (
        "ppk2",
        ProbeOptions(voltage=3.0),
        "no ppk2 was found .no serial port has the USB id 1915:c00a",
    ),
    ("otii:127.0.0.1:1", ProbeOptions(), "nothing answers at 127.0.0.1:1"),
    ("ina", ProbeOptions(), "no ina was found .it needs its port."),
]


@pytest.mark.parametrize(("text", "options", "said"), WRONG)
def test_no_such_probe(text: str, options: ProbeOptions, said: str) -> None:
    with pytest.raises(EdgeFlowError, match=said) as caught:
        probe = find_probe(text, options)
        assert probe is not None
        probe.open()
    assert "\n" not in str(caught.value)


def test_voltage_is_asked_for() -> None:
    model = probe_models.Ppk2(random_words(10))
    for name, said in (("ppk2", "say the board's supply"), ("lpm01a", "say its supply")):
        probe = find_probe(f"{name}:{model.port}")
        assert probe is not None
        with pytest.raises(EnergyError, match=said):
            probe.open()
    model.unplug()
    assert find_probe("none") is None and len(probes()) == 5


def test_lpm01a() -> None:
    board = Board(steps=40)
    current = np.maximum(board.power(10_000.0) / 3.0, 1e-7)
    exponents = np.floor(np.log10(current)).astype(int) - 3
    lines = [f"{round(c / 10.0**e):04d}{e:+03d}" for c, e in zip(current, exponents, strict=True)
             if round(c / 10.0**e) < 10_000]  # fmt: skip
    lines.insert(500, "event 00 fal")
    model = probe_models.Lpm01a(lines)
    found = recorded(model, "lpm01a", ProbeOptions(voltage=3.0), 1.0)
    model.unplug()
    assert model.asked[-2:] == ["stop", "hrc"] or model.asked[-1] == "stop"
    assert "volt 3000m" in model.asked and "pwr on" in model.asked
    assert found.rate_hz == 10_000 and found.events["D7"] == pytest.approx([0.0499])
    true = float(board.joules(np.array(len(current) / 10_000.0)))
    assert found.energy_j(0, found.samples) == pytest.approx(true, rel=5e-3)


def test_otii() -> None:
    values = [0.001 * (i % 7) for i in range(100_000)]
    server = OtiiServer({
        "mc": {"data_type": "analog", "timestamp": 1.0, "interval": 0.00025, "values": values},
        "mv": {"data_type": "analog", "timestamp": 1.0, "interval": 0.001, "values": [3.0] * 25_000},
        "i1": {"data_type": "digital", "values": [{"timestamp": 2.0, "value": True}]},
    })  # fmt: skip
    probe = find_probe(f"otii:{server.place}", ProbeOptions(voltage=3.0, supply=True))
    assert probe is not None
    with probe:
        probe.start()
        found = probe.stop()
    assert found.power_w == pytest.approx(3 * np.array(values))
    assert found.digital["i1"].sum() == 100_000 - 4000 and found.rate_hz == pytest.approx(4000)
    assert "arc_set_main_voltage" in server.asked


def test_sensor_behind_a_board() -> None:
    class Sender(probe_models.Pty):
        def take(self, data: bytes) -> None: ...

    model = Sender()
    probe = find_probe(f"ina:{model.port}")
    assert probe is not None
    header = "t_us,current_ua,voltage_v,marker\r\n"
    rows = [f"{1000 * i},{200 + i},3.3,{i % 2}\r\n" for i in range(200)]
    ready = threading.Event()

    def repeat() -> None:
        while not ready.wait(0.05):
            model.say(header.encode())

    repeating = threading.Thread(target=repeat)
    repeating.start()
    with probe:
        ready.set()
        repeating.join()
        probe.start()
        model.say("".join([*rows[:100], header, *rows[100:]]).encode())
        time.sleep(0.3)
        found = probe.stop()
    model.unplug()
    # the first and the last line may be cut
    assert found.samples == 198 and found.rate_hz == pytest.approx(1000)
    assert found.power_w == pytest.approx(3.3e-6 * np.arange(201, 399))
    assert found.digital["marker"].sum() == 99


def test_what_joulescope_streams_is_kept() -> None:
    class Buffer:
        output_sampling_frequency = 1000.0
        sample_id_range = (0, 0)

        def samples_get(self, start: int, stop: int, fields: list[str]) -> dict[str, object]:
            at = np.arange(start, stop)
            values = {"current": at * 1e-3, "voltage": np.full(len(at), 2.0), "current_lsb": at % 2,
                      "voltage_lsb": at * 0}  # fmt: skip
            return {"signals": {name: {"value": values[name]} for name in fields}}

    collector, buffer = Collector(), Buffer()
    with pytest.raises(EnergyError, match="it sent no samples"):
        collector.recording()
    for buffer.sample_id_range in ((0, 50), (20, 80), (20, 80), (90, 100)):
        assert collector.stream_notify(buffer) is False
    found = collector.recording()
    at = np.array([*range(80), *range(90, 100)])
    assert found.power_w == pytest.approx(2e-3 * at) and found.notes == (
        "the computer lost 10 samples",
    )
    assert (found.digital["gpi[0]"] == at % 2).all()


def test_own_file(tmp_path: Path) -> None:
    board = Board(steps=20)
    made = Recording(20_000.0, board.power(20_000.0), digital=board.lines(20_000.0), source="ppk2",
                     events={"D7": np.array([0.5])}, notes=("a note",))  # fmt: skip
    own.write(made, tmp_path / "power.npz")
    found = read_recording(tmp_path / "power.npz")
    assert found.power_w == pytest.approx(made.power_w, rel=1e-6) and found.notes == made.notes
    assert all((found.digital[name] == line).all() for name, line in made.digital.items())
    assert found.events["D7"] == [0.5]
    (tmp_path / "power.npz").write_bytes((tmp_path / "power.npz").read_bytes()[:2000])
    with pytest.raises(EnergyError, match="not a whole recording|no recording of a power probe"):
        read_recording(tmp_path / "power.npz")

"""Energy, latency and area of analog arrays, against published figures.

What only this file would catch: a model file or its arithmetic that no longer gives the figure it
was taken from (HERMES, NeuRRAM, the 64-core chip, ISAAC, the ramp ADC, the ADC survey, NeuroSim);
a component without a figure that counts as 0; a total of parts that claims to be complete.

References are figures of the publications or closed forms, written here by hand.
"""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeflow.errors import ImcError
from edgeflow.imc.energy import (
    COMPONENTS,
    Costs,
    Counts,
    Part,
    Read,
    Span,
    component_span,
    energy_model_names,
    load_energy_model,
    price,
    sources,
    table,
    total_span,
)
from edgeflow.imc.energy.adcs import Sar, Survey
from edgeflow.imc.energy.ramps import Ramp
from edgeflow.resources import resource

#: A step of a GRU of 6 inputs and 64 units and of its head, once in 100 steps: two arrays at once.
GRU = Counts(
    (
        Read(6, 192, 8, {8: 192}),
        Read(64, 192, 8, {8: 192}),
        Read(64, 7, 8, {8: 7}, times=0.01, stage=1),
    ),
    adds=192,
    lookups=192,
    buffer_bytes=268,
)
#: A step of the ramp ADC paper's LSTM: 40 inputs and 32 units.
LSTM = Counts((Read(72, 128, 5, ramps={5: 128}),))
MODELS = [load_energy_model(name) for name in energy_model_names()]


def all_costs(counts: Counts) -> list[Costs]:
    return [model.costs(counts, 22) for model in MODELS]


def costs(name: str, counts: Counts, node_nm: float = 22.0) -> Costs:
    return load_energy_model(name).costs(counts, node_nm)


def one(rows: int, cols: int, input_bits: int, output_bits: int) -> Counts:
    return Counts((Read(rows, cols, input_bits, {output_bits: cols}),))


def high(found: Costs, quantity: str = "energy") -> float:
    total = found.total(quantity)
    assert total.complete
    return total.span.high


def test_hermes() -> None:
    """12.5 nJ a product of a full core: 49 pJ a column, 0.19 pJ a product of two numbers."""
    found = costs("hermes", one(256, 256, 8, 8))
    assert high(found) == pytest.approx(12.5e-9, rel=0.01)
    assert high(found) / 256 == pytest.approx(49e-12, rel=0.01)
    assert found.total("energy").span.low == high(found)
    assert found.measured and found.part("energy", "adc").covers == ("array", "dac", "adc")


@pytest.mark.parametrize(
    ("bits_in", "bits_out", "tops_per_w", "chip_tops"),
    [
        (1, 3, 43.1, 2.12),
        (2, 4, 40.3, 1.79),
        (3, 5, 23.1, 1.17),
        (4, 6, 15.95, 0.744),
        (6, 8, 8.26, 0.418),
        (8, 10, 6.44, 0.264),
    ],
)
def test_neurram(bits_in: int, bits_out: int, tops_per_w: float, chip_tops: float) -> None:
    found = costs("neurram", one(128, 256, bits_in, bits_out))
    operations = 2 * 128 * 256
    assert operations / high(found) / 1e12 == pytest.approx(tops_per_w, rel=0.005)
    assert 48 * operations / high(found, "latency") / 1e12 == pytest.approx(chip_tops, rel=0.005)
    assert high(found, "area") == pytest.approx(1270 * 256 / 0.28, rel=0.005)


@pytest.mark.parametrize(("phases", "nj", "ns"), [("one", 13.4, 133), ("four", 52.9, 521)])
def test_chip_of_64_cores(phases: str, nj: float, ns: float) -> None:
    found = costs(f"cores-64-{phases}-phase", one(256, 256, 8, 8))
    assert high(found) == pytest.approx(1e-9 * nj, rel=0.005)
    assert high(found, "latency") == pytest.approx(1e-9 * ns, rel=0.005)


def test_isaac() -> None:
    """A read of 128 x 128 devices: 30 pJ; 3.9 uW of a DAC for 100 ns; 2 mW of an ADC at 1.28 GS/s."""
    found = costs("isaac", Counts((Read(128, 128, 1, {8: 128}, devices=1, adcs=1),)))
    assert found.part("energy", "array").span.high == pytest.approx(30e-12, rel=0.001)
    assert found.part("energy", "dac").span.high == pytest.approx(128 * 0.39e-12, rel=0.25)
    assert found.part("energy", "adc").span.high == pytest.approx(128 * 1.56e-12, rel=0.25)
    assert found.part("energy", "digital").span.high == 0
    assert found.part("latency", "array").span.high == pytest.approx(100e-9)
    assert found.part("latency", "adc").span.high == pytest.approx(100e-9)
    assert found.part("area", "array").span.high == pytest.approx(25)
    assert found.part("area", "adc").span.high == pytest.approx(1200)


def test_isaac_takes_inputs_bit_by_bit() -> None:
    """Eight bits: eight reads and conversions, and a shift and add (0.021 pJ) after each."""
    bit = costs("isaac", one(64, 32, 1, 8))
    byte = costs("isaac", one(64, 32, 8, 8))
    for name in ("array", "dac", "adc"):
        assert byte.part("energy", name).span.high == pytest.approx(
            8 * bit.part("energy", name).span.high
        )
    assert byte.part("energy", "digital").span.high == pytest.approx(8 * 32 * 0.021e-12)
    assert byte.part("latency", "array").span.high == pytest.approx(800e-9)


def test_ramp_adc() -> None:
    """The paper's LSTM of 72 x 128: 0.59 nJ and 168 ns a step at 5 bits."""
    found = costs("nl-adc", LSTM)
    assert high(found) == pytest.approx(0.59e-9, rel=0.05)
    assert high(found, "latency") == pytest.approx(168e-9, rel=0.05)
    assert high(found, "area") == pytest.approx(3000, rel=0.01)
    assert found.part("energy", "dac").covers == ("array", "dac", "adc")


def test_ramp_laws_give_what_they_were_fitted_to() -> None:
    """Two coefficients of energy, four figures; power and efficiency have more digits than TOPS."""
    model = load_energy_model("nl-adc")
    assert isinstance(model, Ramp)
    assert len(model.published) == 4
    for layer in model.published:
        step = Read(layer.rows, layer.cols, layer.bits, ramps={layer.bits: layer.cols})
        found = model.costs(Counts((step,)), 16)
        operations = 2 * layer.rows * layer.cols
        joule = 1e-12 * operations / layer.tops_per_w
        assert high(found) == pytest.approx(joule, rel=0.11)
        assert high(found, "latency") == pytest.approx(joule / (1e-3 * layer.milliwatt), rel=0.005)
        assert high(found, "latency") == pytest.approx(1e-12 * operations / layer.tops, rel=0.1)
        assert high(found, "area") == pytest.approx(1e6 * layer.mm2, rel=0.01)


@pytest.mark.parametrize(
    ("node_nm", "picojoule"),
    [
        (14, (0.20, 0.23, 0.36, 0.70)),
        (22, (0.46, 0.53, 0.85, 1.64)),
        (32, (0.94, 1.07, 1.71, 3.3)),
        (65, (3.55, 4.03, 6.49, 12.5)),
    ],
)
def test_survey(node_nm: float, picojoule: tuple[float, ...]) -> None:
    """Values of accelergy-adc-plug-in's model at 100 MS/s, rounded."""
    for bits, pj in zip((5, 6, 8, 10), picojoule, strict=True):
        found = costs("survey", Counts((Read(1, 1, 8, {bits: 1}),)), node_nm)
        assert found.part("energy", "adc").span.high == pytest.approx(1e-12 * pj, rel=0.025)


def test_survey_prices_isaacs_adc_higher_and_larger() -> None:
    model = load_energy_model("survey")
    assert isinstance(model, Survey)
    assert model.energy_pj(8, 32, 1.28e9) == pytest.approx(1.93, rel=0.005)
    assert model.area_um2(8, 32, 1.28e9) == pytest.approx(6470, rel=0.005)


def test_neurosim() -> None:
    """(1.1294 x 8 + 8.8998) uW for 9 ns at 32 nm; the current of a column of 640 uS at 14 nm."""
    model = load_energy_model("neurosim")
    assert isinstance(model, Sar)
    assert model.energy_pj(8, 32) == pytest.approx(0.1614, rel=0.001)
    ohm = 1e6 / 640
    watt = 1e-6 * (0.3132 * 8 + 2.5681) + 0.061085 * math.exp(-2.303 * math.log10(ohm))
    assert model.energy_pj(8, 14, 640) == pytest.approx(watt * 9e3, rel=1e-9)


def test_converters_of_a_gru_differ_between_models() -> None:
    """384 conversions of 8 bits a step: 18 pJ and 0.14 nJ at 14 nm, 19 nJ of a core's columns."""
    conversions = 384.07
    neurosim, survey = (costs(name, GRU, 14) for name in ("neurosim", "survey"))
    assert neurosim.part("energy", "adc").span.high == pytest.approx(18e-12, rel=0.05)
    assert survey.part("energy", "adc").span.high == pytest.approx(0.14e-9, rel=0.05)
    assert conversions * 49e-12 == pytest.approx(19e-9, rel=0.05)
    hermes = costs("hermes", GRU).part("energy", "adc").span
    assert hermes.low == pytest.approx(12.48e-9 * (70 * 192 + 0.01 * 64 * 7) / 65536, rel=0.001)
    assert hermes.high == pytest.approx(2.01 * 12.48e-9, rel=0.001)


def test_an_array_beyond_a_core_takes_several() -> None:
    single, several = costs("hermes", one(256, 256, 8, 8)), costs("hermes", one(257, 513, 8, 8))
    assert high(several) == pytest.approx(6 * high(single))


def test_a_design_takes_the_cheapest_point_that_suffices() -> None:
    found = costs("neurram", one(128, 256, 3, 8))
    assert 65536 / high(found) / 1e12 == pytest.approx(8.257, rel=0.001)


@pytest.mark.parametrize(
    ("model", "counts", "why"),
    [
        ("isaac", one(4, 4, 8, 12), "no figure of an ADC of 12 bits (there are 4..10)"),
        ("survey", one(4, 4, 8, 2), "no ADC of 2 bits in the survey (there are 4..16)"),
        ("hermes", one(4, 4, 8, 9), "measured up to 8 bits in and 8 out, the design has 8 and 9"),
        ("nl-adc", one(4, 4, 9, 5), "published for 3..8 bits, the design has 9 in and 5 out"),
        ("isaac", LSTM, "no ramp ADC in this model"),
        ("survey", LSTM, "no ramp ADC in this model"),
        ("neurosim", LSTM, "no ramp ADC in this model"),
        ("neurram", LSTM, "no ramp ADC on this chip"),
    ],
)
def test_what_a_model_has_no_figure_for_is_unknown(model: str, counts: Counts, why: str) -> None:
    found = costs(model, counts)
    assert found.part("energy", "adc").span is None
    assert found.part("energy", "adc").source == why
    assert not found.total("energy").complete


BITS = st.integers(1, 16)
READS = st.builds(
    Read,
    rows=st.integers(1, 700),
    cols=st.integers(1, 700),
    input_bits=st.integers(0, 16),
    conversions=st.dictionaries(BITS, st.floats(0, 1000), max_size=2),
    ramps=st.dictionaries(BITS, st.floats(0, 1000), max_size=1),
    times=st.floats(0.01, 4),
    devices=st.integers(1, 8),
    adcs=st.none() | st.integers(1, 300),
    stage=st.integers(0, 2),
    column_us=st.none() | st.floats(0, 5000),
)
AMOUNTS = st.just(0.0) | st.floats(0.5, 1e4)
COUNTS = st.builds(
    Counts,
    st.lists(READS, max_size=3).map(tuple),
    adds=AMOUNTS,
    lookups=AMOUNTS,
    buffer_bytes=AMOUNTS,
)


@settings(max_examples=60, deadline=None)
@given(COUNTS)
def test_every_component_has_one_figure_that_is_never_silently_0(counts: Counts) -> None:
    for found in all_costs(counts):
        for quantity in ("energy", "latency", "area"):
            parts = found.parts(quantity)
            assert sorted(name for part in parts for name in part.covers) == sorted(COMPONENTS)
            assert all(part.source for part in parts)
            assert found.total(quantity).complete == all(part.span for part in parts)
        for part in found.energy:
            if any(counts.events(name) > 0 for name in part.covers):
                assert part.span is None or part.span.high > 0
            if part.span is not None:
                assert 0 <= part.span.low <= part.span.high < math.inf


@settings(max_examples=60, deadline=None)
@given(COUNTS, COUNTS)
def test_energies_and_areas_add(one: Counts, other: Counts) -> None:
    both = Counts(
        (*one.reads, *other.reads),
        one.adds + other.adds,
        one.lookups + other.lookups,
        one.buffer_bytes + other.buffer_bytes,
    )
    for a, b, sum_ in zip(all_costs(one), all_costs(other), all_costs(both), strict=True):
        parts = (a.total("energy"), b.total("energy"))
        assert sum_.total("energy").complete == all(part.complete for part in parts)
        if sum_.total("energy").complete:
            assert high(sum_) == pytest.approx(high(a) + high(b))


@settings(max_examples=60, deadline=None)
@given(COUNTS, st.floats(0.1, 8))
def test_twice_the_reads_is_twice_the_energy_and_time_of_the_same_area(
    counts: Counts, factor: float
) -> None:
    often = replace(counts, reads=tuple(replace(r, times=factor * r.times) for r in counts.reads))
    counts, often = (replace(c, adds=0, lookups=0, buffer_bytes=0) for c in (counts, often))
    for a, b in zip(all_costs(counts), all_costs(often), strict=True):
        for quantity, ratio in (("energy", factor), ("latency", factor), ("area", 1)):
            was, now = a.total(quantity).span, b.total(quantity).span
            assert (was is None) == (now is None)
            if was is not None:
                assert now.high == pytest.approx(ratio * was.high)


def test_counts_of_a_step() -> None:
    assert GRU.cells_driven == pytest.approx(2 * (70 * 192 + 0.01 * 64 * 7))
    assert GRU.dac_events == pytest.approx({8: 70.64})
    assert GRU.conversions == pytest.approx({8: 384.07})
    assert GRU.ramp_conversions == {}
    assert GRU.arrays == [(6, 192), (64, 192), (64, 7)]
    assert GRU.adcs == 391
    spikes = Counts((Read(8, 4, 0, {6: 4}, driven=1.5),))
    assert spikes.dac_events == {} and spikes.cells_driven == 12


def test_arrays_of_one_stage_work_at_once_and_columns_of_one_adc_in_a_row() -> None:
    shared = tuple(replace(read, adcs=2) for read in GRU.reads)
    at_once = costs("survey", replace(GRU, reads=shared)).part("latency", "adc").span.high
    assert at_once == pytest.approx((96 + 0.01 * 4) / 1e8)
    in_turn = tuple(replace(read, stage=n) for n, read in enumerate(shared))
    found = costs("survey", replace(GRU, reads=in_turn)).part("latency", "adc").span.high
    assert found == pytest.approx((96 + 96 + 0.01 * 4) / 1e8)


def test_average_power() -> None:
    found = costs("isaac", GRU)
    power = found.average_power(50, standby_w=2e-6)
    assert power.active.span.high == pytest.approx(50 * high(found))
    assert power.total.complete
    assert power.total.span.high == pytest.approx(2e-6 + 50 * high(found))


def test_standby_power_is_unknown_unless_it_is_given() -> None:
    power = costs("isaac", GRU).average_power(50)
    assert power.active.complete and power.standby_w is None
    assert not power.total.complete
    assert not costs("hermes", GRU).average_power(50, 0.0).total.complete


def test_table() -> None:
    models = [costs(name, one(128, 256, 4, 6)) for name in ("isaac", "survey", "neurram")]
    assert table(models, "energy") == [
        ["component", "isaac", "survey", "neurram", "range"],
        ["array", "480 pJ", "unknown", "4.11 nJ", "480 pJ"],
        ["dac", "213 pJ", "unknown", "in array", "213 pJ"],
        ["adc", "1.23 nJ", "135 pJ", "in array", "135 pJ..1.23 nJ"],
        ["digital", "21.5 pJ", "0", "0", "0..21.5 pJ"],
        ["buffer", "0", "0", "0", "0"],
        ["total", "1.94 nJ", "> 135 pJ", "4.11 nJ", "1.94..4.11 nJ"],
    ]  # fmt: skip
    assert table([costs("hermes", GRU)], "energy")[-1] == ["total", "> 2.56..25.1 nJ", "unknown"]
    assert table(models, "area")[1] == ["array", "100 µm²", "unknown", "1.16 mm²", "100 µm²"]


def test_ranges_are_of_what_is_known() -> None:
    def model(name: str, *parts: Part) -> Costs:
        return Costs(name, "", 14, False, parts, parts, parts)

    array, rest = ("array",), ("dac", "adc", "digital", "buffer")
    whole = model("whole", Part((*array, *rest), Span(2, 3), "a"))
    partial = model("partial", Part(array, Span(5, 6), "b"), Part(rest, None, "none"))
    nothing = model("nothing", Part(array, None, "none"), Part(rest, None, "none"))
    assert total_span([whole, partial], "energy") == Span(2, 6)
    assert total_span([partial], "energy") is None
    assert component_span([whole, partial, nothing], "energy", "array") == Span(5, 6)
    assert component_span([whole, nothing], "energy", "array") is None
    assert sources([whole, partial, nothing]) == {"whole": ["a"], "partial": ["b"], "nothing": []}


def test_files() -> None:
    names = energy_model_names()
    assert names[:4] == ["isaac", "survey", "neurosim", "nl-adc"]
    folder = resource("calibration") / "imc" / "energy"
    assert sorted(names) == sorted(file.stem for file in folder.glob("*.toml"))
    for name in names:
        model = load_energy_model(name)
        assert model.name == name and model.about and model.limits
    assert [found.model for found in price(GRU)] == names


def test_errors() -> None:
    with pytest.raises(ImcError, match=r"no energy model 'hermse' \(did you mean 'hermes'\?\)"):
        load_energy_model("hermse")
    with pytest.raises(ImcError, match=r"no energy model 'x' \(there are: isaac, survey, "):
        load_energy_model("x")
    with pytest.raises(ImcError, match=r"neurosim: no node of 28 nm \(there are 7, 10, 14, 22"):
        price(GRU, node_nm=28)
    with pytest.raises(ImcError, match=r"survey: a node is 4\.\.1000 nm, not 2"):
        costs("survey", GRU, 2)
    with pytest.raises(ImcError, match=r"rate_hz: steps a second are above 0, not 0"):
        costs("isaac", GRU).average_power(0)
    with pytest.raises(ImcError, match=r"standby_w: a power in W is at least 0, not -1"):
        costs("isaac", GRU).average_power(1, -1)
    with pytest.raises(ImcError, match=r"counts of a step: input_bits is 0\.\.16, not 17"):
        Read(4, 4, 17)
    with pytest.raises(ImcError, match=r"counts of a step: driven is 0\.\.4, not 5"):
        Read(4, 4, 8, driven=5)
    with pytest.raises(ImcError, match=r"counts of a step: adds is at least 0, not nan"):
        Counts((), adds=math.nan)

"""Figures of events, anomalies and counts, on cases worked out by hand and against definitions."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeflow.metrics import (
    Event,
    Wards,
    WardSteps,
    area_under_roc,
    delays,
    events_of,
    flag_rates,
    mae,
    match,
    ward,
    ward_steps,
    within,
)


def at(*steps: int, label: int = 1) -> list[Event]:
    """Return detections at these steps."""
    return [Event(step, step + 1, label) for step in steps]


class TestEvents:
    def test_runs_of_labels(self) -> None:
        assert events_of([0, 1, 1, 2, 0, 2]) == [(1, 3, 1), (3, 4, 2), (5, 6, 2)]
        assert events_of([]) == [] and events_of([0, 0]) == []
        assert events_of([0, 1], background=-1) == [(0, 1, 0), (1, 2, 1)]

    def test_a_hit_is_from_the_start_to_the_tolerance_after_the_end(self) -> None:
        truth = [Event(10, 20, 1)]
        for step, hit in ((9, False), (10, True), (24, True), (25, False)):
            found = match(truth, at(step), tolerance=5, debounce=3)
            assert found.hit.tolist() == [hit] and found.false_alarms == (not hit)

    def test_only_the_first_hit_of_an_event_counts(self) -> None:
        found = match([Event(10, 20, 1)], at(12, 15, 18), tolerance=5, debounce=3)
        assert found.latency.tolist() == [2]
        assert (found.false_alarms, found.detections) == (0, 1)

    def test_false_alarms_are_debounced(self) -> None:
        found = match([], at(0, 2, 3, 7), tolerance=5, debounce=3)
        assert found.false_alarms == 3  # at 0, 3 and 7: 2 follows within three samples
        assert found.detections == 3

    def test_another_class_hits_nothing(self) -> None:
        found = match([Event(10, 20, 1)], at(12, label=2), tolerance=5, debounce=3)
        assert not found.hit.any() and found.false_alarms == 1

    def test_two_close_events_take_a_hit_each(self) -> None:
        truth = [Event(10, 12, 1), Event(14, 16, 1)]
        found = match(truth, at(11, 14, 15), tolerance=5, debounce=3)
        assert found.hit.all() and found.latency.tolist() == [1, 0]


class TestWard:
    def test_each_kind(self) -> None:
        truth = [
            Event(0, 10, 1), Event(20, 30, 1), Event(40, 60, 1), Event(70, 75, 1), Event(80, 85, 1),
        ]  # fmt: skip
        reports = [
            Event(2, 12, 1), Event(40, 45, 1), Event(50, 55, 1), Event(70, 85, 1), Event(90, 95, 1),
        ]  # fmt: skip
        found = ward(truth, reports)
        assert found == (1, 1, 1, 2, 0, 1, 5)
        assert found.f1 == 2 * 1 / (5 + 5)

    def test_fragmented_and_merged_at_once(self) -> None:
        truth = [Event(0, 20, 1), Event(30, 40, 1)]
        assert ward(truth, [Event(0, 5, 1), Event(10, 35, 1)]).both == 1

    def test_nothing_at_all(self) -> None:
        assert ward([], []).f1 == 0 and ward([], at(3)).insertions == 1
        assert ward([Event(0, 3, 1)], at(1, label=2)).deletions == 1

    @settings(deadline=None, max_examples=60)
    @given(*[st.lists(st.integers(0, 2), min_size=1, max_size=40)] * 2)
    def test_overlaps_are_those_of_all_pairs(self, real: list[int], found: list[int]) -> None:
        truth, reports = events_of(real), events_of(found)
        pairs = [
            [a.label == b.label and a.start < b.stop and b.start < a.stop for b in reports]
            for a in truth
        ]
        overlap = np.array(pairs, bool).reshape(len(truth), len(reports))
        several = overlap.sum(axis=1) > 1
        shares = (overlap & (overlap.sum(axis=0) > 1)).any(axis=1)
        seen = overlap.any(axis=1)
        kinds = (seen & ~several & ~shares, ~seen, several & ~shares, shares & ~several)
        counts = [int(kind.sum()) for kind in (*kinds, several & shares, ~overlap.any(axis=0))]
        assert ward(truth, reports) == Wards(*counts, len(reports))

    def test_each_kind_of_step(self) -> None:
        #        kept, overfill  insertion, underfill x2, fragment  deletion, merge
        truth = [0, 0, 1, 1, 0, 0, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 0, 1, 1, 0, 1]
        found = [0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 1, 1, 1]
        assert ward_steps(truth, found) == WardSteps(
            positive=12, negative=9, deletion=1, fragmentation=0, underfill_start=1,
            underfill_end=2, insertion=1, merge=1, overfill_start=1, overfill_end=1,
        )  # fmt: skip
        assert ward_steps([1, 1, 1], [1, 0, 1]).fragmentation == 1
        assert ward_steps([], []).shares()["deletion"] is None

    @settings(deadline=None, max_examples=60)
    @given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
    def test_every_wrong_step_is_of_one_kind(self, pairs: list[tuple[bool, bool]]) -> None:
        truth, found = np.array(pairs).T
        steps = ward_steps(truth, found)
        assert sum(steps[2:6]) == (truth & ~found).sum()
        assert sum(steps[6:]) == (~truth & found).sum()
        assert steps[:2] == (truth.sum(), (~truth).sum())
        # seen from its end a stream has the same errors, the other way round
        back = ward_steps(truth[::-1], found[::-1])
        assert (back.underfill_end, back.overfill_end) == (
            steps.underfill_start, steps.overfill_start
        )  # fmt: skip
        shares = [share for share in steps.shares().values() if share is not None]
        assert all(0 <= share <= 1 for share in shares)


class TestAnomalies:
    def test_rates_are_those_of_skab(self) -> None:
        found = flag_rates([0, 0, 0, 0, 1, 1], [0, 1, 0, 0, 1, 0])
        assert found == (2 / (2 + 1 + 1), 1 / 4, 1 / 2)
        assert math.isnan(flag_rates([0], [1]).mar) and math.isnan(flag_rates([1], [1]).far)

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=40))
    def test_area_is_the_chance_of_the_right_order(self, pairs: list[tuple[bool, int]]) -> None:
        high = [score for anomalous, score in pairs if anomalous]
        low = [score for anomalous, score in pairs if not anomalous]
        found = area_under_roc(*zip(*pairs, strict=True))
        if high and low:
            wins = [(a > b) + (a == b) / 2 for a in high for b in low]
            assert abs(found - np.mean(wins)) < 1e-9
        else:
            assert math.isnan(found)

    def test_delays_are_from_the_start_of_each_anomaly(self) -> None:
        truth, flags = [0, 1, 1, 0, 1, 1, 1], [1, 0, 1, 1, 0, 0, 0]
        assert delays(truth, flags) == [1, None]


def test_counts() -> None:
    assert within([20, 20, 20, 20], [20, 21, 18, 19]) == 0.75
    assert mae(np.array([18.0, 21.0]) - 20) == 1.5

"""When the host asks again, and how much it asks for at a time.

Tier unit. Alone it holds the time-outs themselves: that they follow the round trip, grow when they
pass and never fall under their floor, which on a real line show only as time.
"""

import pytest

from edgeflow.device.line import EMULATED_FLOOR, FLOOR, Pace


def settled(seconds: float, steps: int = 40, floor: float = FLOOR) -> Pace:
    pace = Pace(40, floor, cap=5.0)
    for _ in range(100):
        pace.answered(seconds, steps, again=False)
    return pace


def test_the_time_out_follows_the_round_trip() -> None:
    assert settled(0.4).timeout(40) == pytest.approx(0.4, rel=0.01)
    assert settled(0.001).timeout(40) == FLOOR
    assert settled(0.001, floor=EMULATED_FLOOR).timeout(40) == EMULATED_FLOOR
    # RFC 6298: the first deviation is half of the round trip, of which four are added
    first = Pace(40, FLOOR, cap=5.0)
    assert first.timeout(40) == 1.0
    first.answered(0.2, 40, again=False)
    assert first.timeout(40) == pytest.approx(0.6)
    # a line that changes gets more than its mean
    wild = Pace(40, FLOOR, cap=5.0)
    for seconds in [0.1, 0.5] * 50:
        wild.answered(seconds, 40, again=False)
    assert wild.timeout(40) > 0.9


def test_a_longer_frame_may_take_longer() -> None:
    pace = settled(0.2, steps=4)
    assert pace.timeout(16) == pytest.approx(4 * pace.timeout(4))
    assert pace.timeout(1) == pace.timeout(4)


def test_time_outs_double_until_an_answer_is_timed() -> None:
    pace = settled(0.2)
    waits = []
    for _ in range(8):
        waits.append(pace.timeout(40))
        pace.passed()
    assert waits[:4] == pytest.approx([0.2, 0.4, 0.8, 1.6], rel=0.01) and waits[5:] == [5.0] * 3
    # whose answer it is cannot be told: Karn's rule
    pace.answered(0.001, 40, again=True)
    assert pace.timeout(40) == 5.0
    pace.answered(0.2, 40, again=False)
    assert pace.timeout(40) == pytest.approx(0.2, rel=0.01)
    # a board that takes longer than the cap is waited for, too
    assert settled(9.0).timeout(40) >= 9.0


def test_frames_shrink_on_loss_and_grow_again() -> None:
    pace = Pace(40, FLOOR, cap=5.0)
    sizes = []
    for turn in range(12):
        sizes.append(pace.steps)
        pace.answered(0.1, pace.steps, again=turn > 4)
    assert sizes == [4, 8, 16, 32, 40, 40, 20, 10, 5, 2, 1, 1]
    assert Pace(3, FLOOR, cap=5.0).steps == 3
    # neither one of few steps nor a request without any says much of long ones
    pace.answered(0.1, 0, again=False)
    assert pace.steps == 1
    for _ in range(100):
        pace.answered(0.1, pace.steps, again=False)
    assert pace.steps == 40
    pace.answered(0.1, 6, again=True)
    assert pace.steps == 3

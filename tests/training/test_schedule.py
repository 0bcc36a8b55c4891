"""The learning rate in closed form: every shape, the warm-up, and what reaches the optimizer."""

import math

import pytest

from nas_lightning.plan import SCHEDULES, Protocol
from nas_lightning.training.schedule import learning_rate

PEAK, LOW = 0.8, 0.2
ROOT = math.sqrt(0.5)  # cos(π/4)
AT_QUARTERS = {
    "cosine": (0.8, 0.2 + 0.3 * (1 + ROOT), 0.5, 0.2 + 0.3 * (1 - ROOT), 0.2),
    "linear": (0.8, 0.65, 0.5, 0.35, 0.2),
    "constant": (0.8, 0.8, 0.8, 0.8, 0.8),
    "step": (0.8, 0.8, 0.2, 0.2, 0.2),  # a tenth and a hundredth of the peak lie below the minimum
}


def rate(step, schedule="cosine", total=100, per_epoch=10, low=LOW, **fields):
    protocol = Protocol(learning_rate=PEAK, learning_rate_min=low, schedule=schedule, **fields)
    return learning_rate(protocol, step, per_epoch, total)


def test_every_shape_has_its_values_here():
    assert set(AT_QUARTERS) == set(SCHEDULES)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_shape_at_every_quarter_of_the_run(schedule):
    assert [rate(step, schedule) for step in (0, 25, 50, 75, 100)] == pytest.approx(AT_QUARTERS[schedule], rel=1e-12)


def test_a_step_falls_to_a_tenth_at_half_and_to_a_hundredth_at_three_quarters():
    found = [rate(step, "step", low=0.001) for step in (49, 50, 74, 75, 99)]
    assert found == pytest.approx([0.8, 0.08, 0.08, 0.008, 0.008], rel=1e-12)
    assert rate(99, "step", low=0.01) == 0.01


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_warm_up_climbs_to_the_peak_and_the_shape_takes_the_rest(schedule):
    warm = [rate(step, schedule, per_epoch=4, total=50, warmup_epochs=2.5) for step in range(11)]
    assert warm == pytest.approx([0.8 * k / 11 for k in range(1, 12)], rel=1e-12)
    quarters = [rate(10 + 10 * k, schedule, per_epoch=4, total=50, warmup_epochs=2.5) for k in range(5)]
    assert quarters == pytest.approx(AT_QUARTERS[schedule], rel=1e-12)


def test_the_warm_up_is_rounded_to_whole_steps_and_may_fill_the_run():
    assert rate(2, warmup_epochs=0.26) == pytest.approx(0.8 * 3 / 4)  # 2.6 steps are 3
    assert rate(3, warmup_epochs=0.26) == 0.8
    assert rate(99, warmup_epochs=10) == pytest.approx(0.8 * 100 / 101)
    assert rate(100, warmup_epochs=10) == 0.8  # nothing remains of the schedule
    assert rate(100, warmup_epochs=9.9) == pytest.approx(LOW)  # one step remains, and is done

"""What planted faults have shown to be unseen: keys of draws, the recorded rate, when checkpoints are saved."""

from types import SimpleNamespace

import numpy as np
import pytest

from callbacks.landmark_loss import LandmarkLoss
from callbacks.sharing_curriculum import SharingCurriculum
from nas_lightning.plan import PlanError
from nas_lightning.processes.signals import Stopped
from nas_lightning.spaces import get_space
from nas_lightning.training.checkpoints import Checkpoints
from nas_lightning.training.paths import PathSampler
from tests.helpers.small_plans import small_plan, trained


def test_the_paths_of_a_seed_are_these_for_ever():
    """Whoever repeats a run of before gets its paths."""
    sampler = PathSampler("nasbench201", small_plan("nasbench201"), seed=3)
    assert [str(sampler.paths(step).architectures[0]) for step in (0, 1)] == [
        "|skip_connect~0|+|skip_connect~0|none~1|+|skip_connect~0|nor_conv_1x1~1|avg_pool_3x3~2|",
        "|nor_conv_1x1~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|avg_pool_3x3~1|nor_conv_1x1~2|",
    ]


def test_a_tournament_of_two_takes_the_larger():
    plan = small_plan("nasbench201", protocol__tournament=2)
    sampler, space = PathSampler("nasbench201", plan, seed=0), get_space("nasbench201")
    for step in range(8):
        rng = np.random.default_rng(step)
        both = [sampler.drawn(rng) for _ in range(2)]
        sizes = space.costs(both, channels=plan.mapping.channels, layers=plan.mapping.layers)[0]
        assert sampler.one(np.random.default_rng(step)) == both[int(np.argmax(sizes))]


def test_draws_inside_the_network_are_keyed_by_seed_and_step_and_the_rate_is_that_of_the_last_step():
    module = trained("nasbench201", small_plan("nasbench201"), steps=9)  # one epoch of four
    trainer = module.trainer
    assert module.network.draw == (module.seed, trainer.global_step - 1)
    logged = float(trainer.callback_metrics["learning_rate"])
    assert logged == pytest.approx(module.scheduled_rate(trainer.global_step - 1))
    assert logged != pytest.approx(module.scheduled_rate(trainer.global_step + 1))


class Recorded(Checkpoints):
    """Keeps what it would save."""

    def __init__(self, *args):
        super().__init__(*args)
        self.saved = []

    def _save(self, trainer, is_last=False):
        self.saved.append((trainer.global_step, is_last))


def at(step, epoch=0, is_last_batch=False, max_epochs=4):
    return SimpleNamespace(
        global_step=step, current_epoch=epoch, is_last_batch=is_last_batch, max_epochs=max_epochs, world_size=1
    )


def test_steps_between_checkpoints(tmp_path):
    kept = Recorded(tmp_path, 10, 3, None)
    for step in range(1, 8):
        kept.on_train_batch_end(at(step), None)
    assert kept.saved == [(3, False), (6, False)]
    never = Recorded(tmp_path, 10, None, None)
    for step in range(1, 8):
        never.on_train_batch_end(at(step), None)
    assert never.saved == []


def test_epochs_between_checkpoints_and_the_last_one(tmp_path):
    kept = Recorded(tmp_path, 2, None, None)
    for epoch in range(5):
        kept.on_train_epoch_end(at(10 * (epoch + 1), epoch, max_epochs=5), None)
    assert kept.saved == [(20, False), (40, False), (50, True)]


def test_a_signal_saves_at_the_next_step_and_ends_the_training(tmp_path):
    kept = Recorded(tmp_path, 10, None, None)
    kept._signals.signum = 15
    with pytest.raises(Stopped):
        kept.on_train_batch_end(at(1), None)
    assert kept.saved == [(1, False)]
    with pytest.raises(Stopped):
        kept.on_train_end(at(1), None)


def test_minutes_between_checkpoints_count_from_the_last_one(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("nas_lightning.training.checkpoints.time.monotonic", lambda: clock[0])
    trainer = SimpleNamespace(**vars(at(1)), is_global_zero=True, save_checkpoint=lambda path: None)
    kept = Checkpoints(tmp_path, 10, None, 1.0)
    assert not kept._is_late()
    clock[0] = 60.0
    assert kept._is_late()
    kept._save(trainer)
    assert not kept._is_late()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SharingCurriculum("stage", 0.0), "until=0.0 is out of range"),
        (lambda: SharingCurriculum("stage", 1.1), "until=1.1 is out of range"),
        (lambda: SharingCurriculum("stage"), "needs both extent and until"),
        (lambda: LandmarkLoss(landmarks="random9_seed0", weight=1000.5), "weight=1000.5 is out of range|weight=1e"),
        (lambda: LandmarkLoss(landmarks="random9_seed0"), "needs both landmarks and weight"),
    ],
)
def test_the_ends_of_ranges(make, message):
    with pytest.raises(PlanError, match=message):
        make()
    SharingCurriculum("stage", 1.0)

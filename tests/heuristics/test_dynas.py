"""DYNAS: the decay of the rate by a path's size, and one momentum per operation of one slot."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from callbacks.dynas import Dynas
from nas_lightning.heuristic import NotApplicableError, fold
from nas_lightning.plan import PlanError
from nas_lightning.spaces import get_space
from nas_lightning.training.module import SuperNetModule
from tests.helpers.interrupted import assert_goes_on_with_the_same_bits
from tests.helpers.small_plans import data_for, small_plan, trained

LINEAR = {"protocol__schedule": "linear", "protocol__learning_rate_min": 0.0}
PLAIN = {"protocol__gradient_clip": 0.0, "protocol__sampling": "random_nas"}


class Recorder(Dynas):
    """Keeps the rate of every step."""

    def on_train_start(self, trainer, pl_module):
        super().on_train_start(trainer, pl_module)
        self.rates = []

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.rates.append(pl_module.optimizers().param_groups[0]["lr"])


def test_the_exponent_is_linear_in_the_logarithm_of_the_size():
    dynas = Dynas(max_exponent=4.0)
    dynas._logs = math.log(100), math.log(10_000)
    assert dynas.exponent(math.log(100)) == 4.0
    assert dynas.exponent(math.log(10_000)) == 0.25
    assert dynas.exponent(math.log(1000)) == pytest.approx((4 + 0.25) / 2)
    assert dynas.exponent(math.log(10)) == 4.0  # beyond the pool's extremes
    assert dynas.exponent(math.log(20_000)) == 0.25


@pytest.mark.parametrize("schedule", [LINEAR, {"protocol__schedule": "cosine", "protocol__learning_rate_min": 0.01}])
def test_a_step_trains_at_the_rate_of_its_path(schedule):
    plan = small_plan("nasbench201", **schedule)
    recorder = Recorder(max_exponent=3.0)
    module = trained("nasbench201", plan, recorder, steps=6)
    total, low = module.total_steps(), plan.protocol.learning_rate_min
    largest, smallest = (math.log(module.parameters_of(arch)) for arch in module.sampler.extremes)
    exponents = []
    for step, rate in enumerate(recorder.rates):
        (arch,) = module.sampler.paths(step).architectures
        share = (math.log(module.parameters_of(arch)) - smallest) / (largest - smallest)
        exponents.append(3.0 - share * (3.0 - 1 / 3.0))
        left = 1 - step / total if low == 0 else (1 + math.cos(math.pi * step / total)) / 2
        assert rate == pytest.approx(low + (0.05 - low) * left ** exponents[-1])
    assert max(exponents) - min(exponents) > 0.5


def test_the_warm_up_is_left_alone():
    plan = small_plan("nasbench201", protocol__warmup_epochs=1.0, **LINEAR)
    recorder = Recorder(max_exponent=4.0)
    module = trained("nasbench201", plan, recorder, steps=9)
    assert len(data_for(plan).loader()) > 8, "choose fewer steps"
    assert recorder.rates == [module.scheduled_rate(step) for step in range(9)]


def test_momentum_is_that_of_one_optimizer_for_every_value_of_the_slot():
    plan = small_plan("nasbench201", **PLAIN)
    after = trained("nasbench201", plan, Dynas(slot=2), steps=7)
    by_hand, data = SuperNetModule("nasbench201", plan, 10, 1, 0), data_for(plan).loader()
    optimizers = [
        torch.optim.SGD(by_hand.network.parameters(), lr=1.0, momentum=0.9, weight_decay=plan.protocol.weight_decay)
        for _ in range(5)
    ]
    groups = []
    for step in range(7):
        (arch,) = by_hand.sampler.paths(step).architectures
        groups.append(int(by_hand.sampler.space.encode(arch)[2]))
        optimizer = optimizers[groups[-1]]
        optimizer.param_groups[0]["lr"] = after.scheduled_rate(step)
        optimizer.zero_grad(set_to_none=True)
        images, labels = data.batch(step)
        F.cross_entropy(by_hand.network(images, arch), labels).backward()
        optimizer.step()
    assert len(set(groups)) > 1
    assert len(groups) > len(set(groups)), "no group came twice: choose another slot or seed"
    for a, b in zip(by_hand.network.parameters(), after.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    shared = trained("nasbench201", plan, steps=7)
    assert not all(
        torch.allclose(a, b, rtol=1e-5, atol=1e-6)
        for a, b in zip(shared.network.parameters(), after.network.parameters(), strict=True)
    )


def test_a_random_slot_is_drawn_by_the_seed_and_has_several_values():
    drawn = set()
    for seed in range(6):
        dynas = Dynas(slot="random")
        trained("nasbench201", small_plan("nasbench201", **PLAIN), dynas, steps=1, seed=seed)
        drawn.add(dynas._slot)
    assert len(drawn) > 2
    again = Dynas(slot="random")
    trained("nasbench201", small_plan("nasbench201", **PLAIN), again, steps=1, seed=5)
    assert again._slot == dynas._slot


def test_it_goes_on_after_an_interruption_with_the_same_bits(tmp_path):
    assert_goes_on_with_the_same_bits(
        tmp_path, Dynas, "on_before_optimizer_step", lambda self, trainer, *_: trainer.current_epoch == 2,
        "extra=dynas", "plan.protocol.epochs=3", "plan.protocol.train_portion=0.3", "benchmark=none",
        "trainer.checkpoint_every=1", "evaluation.architectures=random2_seed0",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_exponent": 1.0}, "max_exponent=1 is out of range"),
        ({"max_exponent": 101.0}, "max_exponent=101 is out of range"),
        ({"slot": -1}, "slot=-1 is no gene"),
        ({"slot": "first"}, "slot=first is no gene"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(settings, message):
    with pytest.raises(PlanError, match=message):
        Dynas(**settings)


@pytest.mark.parametrize(
    ("settings", "edits", "message"),
    [
        ({"slot": 6}, {}, "an encoding of nasbench201 has genes 0 to 5"),
        ({"slot": 0}, {"protocol__paths_per_step": 2}, "needs one path a step"),
        ({"slot": 0}, {"protocol__sampling": "fairnas"}, "needs one path a step"),
        ({"slot": 0}, {"protocol__momentum": 0.0}, "momentum=0 leaves none"),
        ({"max_exponent": 4.0}, {"protocol__complexity_aware": 1.0}, "both set the rate by a path's size"),
        ({"max_exponent": 4.0}, {"protocol__schedule": "constant"}, "this schedule is constant"),
    ],
)
def test_what_does_not_go_together_is_refused(settings, edits, message):
    with pytest.raises(PlanError, match=message):
        fold(small_plan("nasbench201", **edits), "nasbench201", [Dynas(**settings)])


@pytest.mark.parametrize(
    ("settings", "momentum"), [({"slot": 0}, 0.9), ({"max_exponent": 4.0}, 0.9), ({"max_exponent": 4.0}, 0.0)]
)
def test_only_what_separates_momentum_needs_momentum(settings, momentum):
    plan = small_plan("nasbench201", protocol__momentum=momentum, **LINEAR)
    assert fold(plan, "nasbench201", [Dynas(**settings)]) == plan


def test_equal_sizes_have_no_exponent():
    plan = small_plan("nasbench201")
    with pytest.raises(NotApplicableError, match="equally many parameters"):
        fold(plan, "rnn_ptb", [Dynas(max_exponent=4.0)])


def test_a_learned_distribution_has_no_gene():
    plan = small_plan("nasbench201").edited({"protocol.distribution": "darts", "protocol.selection_portion": 0.5})
    with pytest.raises(PlanError, match="distribution=darts exclude each other"):
        fold(plan, "nasbench201", [Dynas(slot=0)])


def test_a_plan_that_admits_one_size_alone_is_refused():
    sampler = SimpleNamespace(extremes=("one", "another"), space=get_space("nasbench201"))
    module = SimpleNamespace(sampler=sampler, parameters_of=lambda arch: 100, rate_factors=[])
    with pytest.raises(NotApplicableError, match="that it admits have equally many parameters"):
        Dynas(max_exponent=4.0).on_train_start(None, module)

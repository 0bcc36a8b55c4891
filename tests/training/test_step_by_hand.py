"""A few optimizer steps per option, held against formulas that use neither PyTorch's losses nor its optimizers."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from callbacks.landmark_loss import LandmarkLoss
from callbacks.sharing_curriculum import SharingCurriculum
from callbacks.weight_averaging import WeightAveraging
from nas_lightning.spaces import get_space
from nas_lightning.training.module import SuperNetModule
from tests.helpers.by_hand import ByHand, batches_of, cross_entropy, fitted, module_of
from tests.helpers.small_plans import small_plan

SPACE = get_space("nasbench201")
CONV = SPACE.parse("|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|")
POOL = SPACE.parse("|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|")
SKIP = SPACE.parse("|skip_connect~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_3x3~2|")
STEPS = 9
"""Of an epoch: 30 % of the 1,000 digits for training and scoring, 32 a step."""
PLAIN = {"protocol__momentum": 0.0, "protocol__weight_decay": 0.0, "protocol__gradient_clip": 0.0}


def plan_with(**edits):
    """Constant rate 0.05, plain SGD, but for `edits`."""
    return small_plan("nasbench201", protocol__schedule="constant", **PLAIN | edits)


def compare(module, hand):
    """Every parameter, and that the steps moved them far more than the tolerance."""
    for (name, found), (other, expected) in zip(
        module.network.named_parameters(), hand.network.named_parameters(), strict=True
    ):
        assert name == other
        torch.testing.assert_close(
            found, expected, rtol=1e-8, atol=1e-10, msg=lambda text, name=name: f"{name}: {text}"
        )


def by_hand(module, paths, weights=None, rates=None, targets=None):
    """`ByHand` after a step per entry of `paths`."""
    hand, plan = ByHand(module.network, module.plan), module.plan
    for step, (images, labels) in enumerate(batches_of(plan, len(paths))):
        given = cross_entropy(labels, plan.protocol.label_smoothing)
        losses = [given(hand.network(images, arch)) for arch in paths[step]]
        weight = 1 / len(losses) if weights is None else weights
        hand.step(weight * sum(losses), plan.protocol.learning_rate if rates is None else rates[step])
    return hand


@pytest.mark.parametrize(
    "edits",
    [
        {},
        {"protocol__label_smoothing": 0.3},
        {"protocol__weight_decay": 0.2},
        {"protocol__momentum": 0.7},
        {"protocol__momentum": 0.7, "protocol__nesterov": True},
        {"protocol__momentum": 0.7, "protocol__weight_decay": 0.2, "protocol__gradient_clip": 0.5},
        {"protocol__momentum": 0.7, "protocol__weight_decay": 0.2, "protocol__gradient_clip": 0.5,
         "protocol__nesterov": True, "protocol__label_smoothing": 0.3, "mapping__bn_affine": False},
    ],
    ids=lambda edits: "-".join(name.split("__")[1] for name in edits) or "plain",
)  # fmt: skip
def test_steps_of_one_path_are_those_of_the_formulas(edits):
    plan, paths = plan_with(**edits), [(CONV,), (POOL,), (CONV,), (SKIP,)]
    module = module_of(plan, paths)
    hand = by_hand(module, paths)
    start = {name: p.detach().clone() for name, p in module.network.named_parameters()}
    assert fitted(module, 4) == [0.05] * 4
    compare(module, hand)
    moved = {name for name, p in module.network.named_parameters() if not torch.equal(p, start[name])}
    for option, other in (("label_smoothing", 0.0), ("weight_decay", 0.0), ("momentum", 0.0), ("gradient_clip", 0.0),
                          ("nesterov", False)):  # fmt: skip
        if option == "momentum" and plan.protocol.nesterov:
            continue  # excludes each other
        if f"protocol__{option}" in edits:  # each option is seen by the comparison
            without = by_hand(module_of(plan.edited({f"protocol.{option}": other}), paths), paths)
            with pytest.raises(AssertionError):
                compare(module, without)
    assert len(moved) > 20


def test_momentum_and_decay_leave_the_parameters_of_other_paths():
    plan = plan_with(protocol__momentum=0.9, protocol__weight_decay=0.5)
    paths = [(CONV,), (SKIP,), (SKIP,)]
    module = module_of(plan, paths)
    hand = by_hand(module, paths)
    fitted(module, 3)
    compare(module, hand)
    used_once = "cells.0.places.0-2.kernel.weights.1"  # CONV's alone
    only_first = module_of(plan, paths)
    fitted(only_first, 1)
    assert torch.equal(
        dict(module.network.named_parameters())[used_once], dict(only_first.network.named_parameters())[used_once]
    )


@pytest.mark.parametrize("weight", [None, 1.0], ids=["averaged", "summed"])
def test_several_paths_are_one_step_on_their_weighted_losses(weight):
    plan, paths = plan_with(), [(CONV, POOL, SKIP), (POOL, CONV, CONV)]
    module = module_of(plan, paths, weight)
    hand = by_hand(module, paths, weights=weight)
    fitted(module, 2)
    compare(module, hand)


def test_a_gradient_below_the_limit_is_not_clipped_and_one_above_has_the_limits_norm():
    for limit, clipped in ((1e3, False), (0.25, True)):
        plan = plan_with(protocol__gradient_clip=limit)
        module = module_of(plan, [(CONV,)])
        hand = by_hand(module, [(CONV,)])
        before = [p.detach().clone() for p in module.network.parameters()]
        fitted(module, 1)
        compare(module, hand)
        length = sum(
            float(((a - b).detach().double() ** 2).sum())
            for a, b in zip(module.network.parameters(), before, strict=True)
        )
        assert (hand.norm > limit) == clipped
        assert length**0.5 == pytest.approx(0.05 * min(limit, hand.norm), rel=1e-3)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_distilled_paths_learn_the_first_ones_softmax_and_the_first_the_labels(smoothing):
    plan = plan_with(protocol__sampling="sandwich", protocol__distillation=True, protocol__label_smoothing=smoothing)
    module = module_of(plan, [(CONV, POOL, SKIP)])
    hand, ((images, labels),) = ByHand(module.network, plan), batches_of(plan, 1)
    teacher = hand.network(images, CONV)
    p = teacher.detach().exp() / teacher.detach().exp().sum(1, keepdim=True)
    soft = cross_entropy(p)  # no label is left to smooth
    losses = [cross_entropy(labels, smoothing)(teacher), *(soft(hand.network(images, arch)) for arch in (POOL, SKIP))]
    hand.step(sum(losses) / 3, 0.05)
    fitted(module, 1)
    compare(module, hand)


def test_the_complexity_aware_rate_is_the_ratio_of_parameters_to_a_power():
    # By hand, C = 4, one cell a stage: a 3x3 convolution has 9 C² weights and 2 C of its batch-norm, a 1x1 convolution
    # C² + 2 C, over the stages of 4, 8 and 16 channels.
    conv3, conv1 = (sum(k * c * c + 2 * c for c in (4, 8, 16)) for k in (9, 1))
    # The stem reads three channels, whatever the images have: sizes are the benchmark's.
    stem, last = 9 * 3 * 4 + 8, 32
    reduction = sum(9 * 2 * c * c + 9 * 4 * c * c + 2 * c * c + 2 * 4 * c for c in (4, 8))
    fixed = stem + reduction + last + 16 * 10 + 10
    sizes = {CONV: fixed + 3 * conv3 + conv1, POOL: fixed + conv3 + conv1, SKIP: fixed + conv3}
    plan = plan_with(protocol__complexity_aware=-0.5)
    paths = [(CONV,), (POOL,), (SKIP, CONV)]
    module = module_of(plan, paths)
    assert [module.parameters_of(arch) for arch in sizes] == list(sizes.values())
    # The mean of all encodings: each of 6 edges is a 3x3 or a 1x1 convolution with probability 1/5.
    mean = fixed + 6 * (conv3 + conv1) / 5
    deviation = (6 * ((conv3**2 + conv1**2) / 5 - ((conv3 + conv1) / 5) ** 2)) ** 0.5
    drawn = module.mean_parameters()
    assert abs(drawn - mean) < 4 * deviation / 256**0.5
    counted = [sizes[CONV], sizes[POOL], (sizes[SKIP] + sizes[CONV]) / 2]
    expected = [0.05 * (size / drawn) ** -0.5 for size in counted]
    hand = by_hand(module, paths, rates=expected)
    assert fitted(module, 3) == pytest.approx(expected, rel=1e-12)
    compare(module, hand)
    assert len({round(rate, 6) for rate in expected}) == 3


def test_the_mean_size_of_the_complexity_aware_rate_is_keyed_by_the_seed():
    plan = plan_with(protocol__complexity_aware=1.0)
    means = [SuperNetModule("nasbench201", plan, 10, 1, seed).mean_parameters() for seed in (0, 0, 1)]
    assert means[0] == means[1] != means[2]


def test_the_schedule_reaches_the_optimizer():
    plan = plan_with(protocol__epochs=2, protocol__warmup_epochs=0.3).edited(
        {"protocol.schedule": "linear", "protocol.learning_rate_min": 0.01}
    )
    module = module_of(plan, [(CONV,)] * 18)
    found = fitted(module, 10)
    assert module.total_steps() == 2 * STEPS
    expected = [0.05 * k / 4 for k in (1, 2, 3)] + [0.05 - 0.04 * k / 15 for k in range(7)]
    assert found == pytest.approx(expected, rel=1e-12)


def test_the_landmark_hinge_grows_over_the_run_and_vanishes_where_the_order_is_right():
    plan = plan_with(protocol__epochs=1)
    heuristic = LandmarkLoss("random20_seed5", 2.0, benchmark="digits_nasbench201")
    heuristic.check(plan, SPACE)
    module = module_of(plan, [(SKIP,)] * 4)
    hand, hinges = ByHand(module.network, plan), []
    for step, (images, labels) in enumerate(batches_of(plan, 4)):
        loss = cross_entropy(labels)
        better, worse = (loss(hand.network(images, arch)) for arch in heuristic.pair(0, step))
        hinges.append(float(better - worse))
        term = (better - worse) * (hinges[-1] > 0) * (2.0 * (step + 1) / STEPS)
        hand.step(loss(hand.network(images, SKIP)) + term, 0.05)
    logged = []

    class Record(pl.Callback):
        def on_train_batch_end(self, *_):
            logged.append(float(heuristic._losses[-1]))

    fitted(module, 4, heuristic, Record())
    compare(module, hand)
    assert min(hinges) < 0 < max(hinges), "choose another seed: the steps must show both cases"
    assert logged == pytest.approx([max(0.0, hinge) for hinge in hinges], abs=1e-9)


def test_weight_averaging_is_the_recursion_of_its_docstring():
    plan = plan_with(protocol__epochs=1)
    paths = [(CONV,)] * STEPS
    averaging = WeightAveraging(0.3)
    module = module_of(plan, paths)
    hand = ByHand(module.network, plan)
    average = [p.detach().clone() for p in hand.network.parameters()]
    for step, (images, labels) in enumerate(batches_of(plan, STEPS), start=1):
        hand.step(cross_entropy(labels)(hand.network(images, CONV)), 0.05)
        # (1 + t)/(10 + t) is 2/11, 3/12, and from t = 3 on, at 4/13, above 0.3.
        d = {1: 2 / 11, 2: 3 / 12}.get(step, 0.3)
        average = [d * a + (1 - d) * p.detach() for a, p in zip(average, hand.network.parameters(), strict=True)]
    fitted(module, STEPS, averaging)
    for found, expected in zip(module.network.parameters(), average, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("extent", "groups"),
    [
        ("cell", [["0-1", "0-2", "1-2", "0-3", "1-3", "2-3"]]),
        ("node", [["0-2", "1-2"], ["0-3", "1-3", "2-3"]]),
    ],
)
def test_tied_edges_take_the_sum_of_their_gradients_until_they_part(extent, groups):
    plan = plan_with(protocol__epochs=1, protocol__momentum=0.5, protocol__weight_decay=0.1)
    paths = [(CONV,), (POOL,), (CONV,), (POOL,)]
    module, heuristic = module_of(plan, paths), SharingCurriculum(extent, 3 / STEPS)
    hand = ByHand(module.network, plan)
    named = dict(hand.network.named_parameters())
    tied = [
        [f"cells.{cell}.places.{edge}.{leaf}" for edge in edges]
        for cell in range(3)
        for edges in groups
        for leaf in ("kernel.weights.1", "kernel.weights.3", "norms.1.weight", "norms.1.bias", "norms.3.weight",
                     "norms.3.bias")
    ]  # fmt: skip
    with torch.no_grad():
        for first, *others in tied:
            for other in others:
                named[other].copy_(named[first])
    for step, (images, labels) in enumerate(batches_of(plan, 4)):
        hand.step(cross_entropy(labels)(hand.network(images, paths[step][0])), 0.05, tied if step < 3 else ())
    fitted(module, 4, heuristic)
    compare(module, hand)


def test_label_smoothing_mixes_the_targets_by_the_published_weights():
    """Three classes, s = 0.3: the label's share is 1 − 0.3 + 0.1 = 0.8, each other's 0.1."""
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2]]))
    expected = -(0.8 * np.log(0.5) + 0.1 * np.log(0.3) + 0.1 * np.log(0.2))
    assert float(cross_entropy(torch.tensor([0]), 0.3)(logits)) == pytest.approx(expected, rel=1e-6)

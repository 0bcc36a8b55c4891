"""Every setting on every space: a few steps with finite loss, or a refusal; the same draws unless it says otherwise."""

import functools

import pytest
import torch

from nas_lightning.heuristic import NotApplicableError, fold
from nas_lightning.scoring.score import score
from nas_lightning.training.paths import PathSampler
from tests.helpers.nightly import rest_nightly
from tests.helpers.small_plans import INAPPLICABLE, SETTINGS, SMALL, build, data_for, small_plan, trained

CASES = [
    pytest.param(path, space, id=f"{path.parent.name}-{path.stem}-{space}")
    for path in SETTINGS
    for space in SMALL
    if (path.parent.name, space) not in INAPPLICABLE
]


AMOUNTS = ("layers", "train_portion", "batch_size", "channels", "learning_rate", "epochs", "weight_decay")
"""Factors whose settings are amounts of one thing: each is trained on one space, and the first of them on all."""


def is_one_of_a_kind(path, space):
    first = next(other for other in SETTINGS if other.parent == path.parent)
    return space == "nasbench201" or path == first or path.parent.name not in AMOUNTS


@functools.cache
def draws(space, plan):
    """Images and labels of the first batches, and the paths of the first steps."""
    loader, sampler = data_for(plan).loader(), PathSampler(space, plan, 0)
    return [loader.batch(step) for step in range(2)], [sampler.paths(step) for step in range(4)]


def start_for(path, space):
    """The small starting point; deeper for the settings that make it shallower, which else would not apply."""
    deeper = {"nasbench101": 2, "nasbench201": 2, "darts_nds": 6}
    return small_plan(space, mapping__layers=deeper[space]) if path.stem == "fewer" else small_plan(space)


@functools.cache  # several settings are the starting point itself
def loss_after_two_steps(space, plan):
    module = trained(space, plan, steps=2)
    assert module.trainer.global_step == 2
    assert all(p.isfinite().all() for p in module.parameters())
    data, archs = data_for(plan), PathSampler(space, plan, 1).paths(0).architectures[:1]
    batches = data.evaluation_batches(50, 50, "cpu")
    calibration = [data.loader().batch(0)[0]]
    found = score(module.network, archs, batches, statistics=plan.protocol.bn_evaluation, calibration=calibration)
    return found["negative_cross_entropy"][0]


@pytest.mark.slow
@pytest.mark.parametrize(("path", "space"), rest_nightly(CASES, is_one_of_a_kind))
def test_a_setting_trains_and_scores_with_finite_loss(path, space):
    plan = fold(start_for(path, space), space, [build(path)])
    assert -20 < loss_after_two_steps(space, plan) < 0


@pytest.mark.parametrize(("path", "space"), [case for case in CASES if not build(case.values[0]).changes_draws])
def test_two_runs_that_differ_in_one_heuristic_draw_the_same(path, space):
    heuristic = build(path)
    base = start_for(path, space)
    before, after = draws(space, base), draws(space, fold(base, space, [heuristic]))
    assert all(
        torch.equal(a, b)
        for one, other in zip(before[0], after[0], strict=True)
        for a, b in zip(one, other, strict=True)
    )
    assert before[1] == after[1]


def test_the_declared_changes_of_draws_are_true():
    found = set()
    for path in SETTINGS:
        heuristic = build(path)
        if heuristic.changes_draws:
            base = small_plan("nasbench101")
            try:
                before, after = draws("nasbench101", base), draws("nasbench101", fold(base, "nasbench101", [heuristic]))
            except NotApplicableError:
                continue
            same = before[1] == after[1] and all(
                a.shape == b.shape and torch.equal(a, b) for (a, _), (b, _) in zip(before[0], after[0], strict=True)
            )
            found |= set() if same else {heuristic.factor}
    assert found == {"sampling", "dynamic_channel", "batch_size", "train_portion"}
    declared = {heuristic.factor for heuristic in map(build, SETTINGS) if heuristic.changes_draws}
    assert declared == found

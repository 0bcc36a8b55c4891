"""Landmark ranking loss: a hinge on pairs of known order, on landmarks that nobody evaluates."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from callbacks.landmark_loss import LandmarkLoss
from nas_lightning.benchmarks import Benchmark
from nas_lightning.heuristic import fold
from nas_lightning.modes.job import compose as compose_job
from nas_lightning.modes.main import train
from nas_lightning.plan import PlanError
from nas_lightning.ranking.architecture_sets import architecture_set
from nas_lightning.spaces import get_space
from tests.helpers.commands import composed
from tests.helpers.small_plans import data_for, small_plan, trained

TABLE = "digits_nasbench201"


def landmark_loss(weight=2.0, landmarks="random20_seed5"):
    heuristic = LandmarkLoss(landmarks, weight, benchmark=TABLE)
    heuristic.check(small_plan("nasbench201"), get_space("nasbench201"))
    return heuristic


def test_a_pair_is_keyed_and_ordered_by_the_table():
    heuristic, table = landmark_loss(), Benchmark.open(TABLE, space="nasbench201")
    pairs = [heuristic.pair(0, step) for step in range(200)]
    assert pairs == [heuristic.pair(0, step) for step in range(200)]
    assert pairs != [heuristic.pair(1, step) for step in range(200)]
    better, worse = (table.accuracies(list(archs)) for archs in zip(*pairs, strict=True))
    assert (better > worse).all()
    names = {str(a) for a in architecture_set("random20_seed5", get_space("nasbench201"), table)}
    assert {str(a) for pair in pairs for a in pair} <= names


def test_a_step_adds_the_gradient_of_the_hinge():
    plan = small_plan("nasbench201", protocol__gradient_clip=0.0, protocol__weight_decay=0.0, protocol__momentum=0.0)
    heuristic = landmark_loss(weight=50.0)
    start, after = trained("nasbench201", plan, steps=0), trained("nasbench201", plan, heuristic, steps=1)
    network, (images, labels) = start.network, data_for(plan).loader().batch(0)
    better, worse = heuristic.pair(0, 0)
    network.train()
    hinge = F.relu(F.cross_entropy(network(images, better), labels) - F.cross_entropy(network(images, worse), labels))
    loss = F.cross_entropy(network(images, start.paths(0).architectures[0]), labels)
    assert hinge > 0, "choose another seed: this pair is in order, and the test would see nothing"
    (loss + hinge * 50.0 / after.total_steps()).backward()
    moved = 0
    for a, b in zip(start.network.parameters(), after.network.parameters(), strict=True):
        if a.grad is not None:
            torch.testing.assert_close(b, a - after.scheduled_rate(0) * a.grad, rtol=1e-4, atol=1e-5)
            moved += not torch.equal(a, b)
    assert moved


def test_landmarks_are_none_of_the_evaluated_architectures(tmp_path):
    overrides = ["extra=landmark_loss", "plan.protocol.epochs=1", "plan.protocol.train_portion=0.3",
                 "evaluation.architectures=random100_seed0", f"runs={tmp_path}"]  # fmt: skip
    job = compose_job(composed(*overrides))
    (heuristic,) = (h for h in job.heuristics if h.active)
    space = get_space("nasbench201")
    evaluated = architecture_set("random100_seed0", space, Benchmark.open(TABLE))
    landmarks = {space.key(a) for step in range(500) for a in heuristic.pair(0, step)}
    assert len(landmarks) > 20
    assert not landmarks & {space.key(a) for a in evaluated}
    result = train(composed(*overrides))
    assert result["heuristics"]["landmark_loss"]["landmarks"] == "random60_seed77"
    assert result["cost"]["passes"] == 3 * result["cost"]["steps"]  # the path's and the pair's
    rows = next(tmp_path.rglob("metrics.csv")).read_text().splitlines()
    assert float(dict(zip(rows[0].split(","), rows[1].split(","), strict=True))["landmark_loss"]) >= 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("random20_seed5", None, None, TABLE), "needs both landmarks and weight"),
        (("random20_seed5", 0.0, None, TABLE), "weight=0 is out of range"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(settings, message):
    with pytest.raises(PlanError, match=message):
        LandmarkLoss(*settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("random20_seed5", 1.0, None, None), "needs stand-alone accuracies; choose a benchmark"),
        (("random20_seed5", 1.0, None, "nowhere"), "landmarks=random20_seed5: "),
        (("random1_seed5", 1.0, None, TABLE), "leaves 1 of different accuracy"),
        (("nonsense", 1.0, None, TABLE), "landmarks=nonsense: "),
    ],
)
def test_landmarks_that_cannot_be_ordered_are_refused(settings, message):
    with pytest.raises(PlanError, match=message):
        fold(small_plan("nasbench201"), "nasbench201", [LandmarkLoss(*settings)])


def test_ties_of_the_table_make_no_pair():
    heuristic = landmark_loss(landmarks="random200_seed0")
    accuracies = Benchmark.open(TABLE, space="nasbench201").accuracies(heuristic._better)
    assert (np.diff(accuracies) < 0).all()
